// Fastify with @fastify/reply-from, which forwards through undici's pools.
import replyFrom from '@fastify/reply-from';
import Fastify from 'fastify';
import { choose, listenPort, upstreamA, upstreamB } from './choose.ts';

const app = Fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
await app.register(replyFrom, { undici: { connections: 256, pipelining: 1 } });
app.all('/*', (request, reply) => reply.from(choose(request.url, upstreamA, upstreamB) + request.url));
await app.listen({ port: listenPort, host: '127.0.0.1', backlog: 4096 });
