// What a route answers in place of errors (`errorAnswers`): the client gets it, and the exchange stays what it was.
import { describe, expect, it } from 'vitest';
import { explainQuery } from '../../../src/admin/explain.ts';
import { FAULT_CODES } from '../../../src/errors.ts';
import { freePort } from '../../support/free-port.ts';
import { valuesOf } from '../../support/message.ts';
import { startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`;
const SORRY = { status: 200, body: 'sorry $request_uri' };

describe('errorAnswers', () => {
  it('answers for an upstream that fails, keeps the connection and its code, and counts a failure', async () => {
    const splitter = await startSplitter({
      upstreams: { gone: { url: `http://127.0.0.1:${await freePort()}`, retry: { attempts: 0 } } },
      splits: { s: { key: '$arg_token', variants: [{ name: 'v', share: '100%', upstream: 'gone' }] } },
      routes: [{ split: 's', errorAnswers: [{ statuses: [502, 504], respond: SORRY }] }],
    });
    const client = await splitter.client();
    for (const target of ['/a?token=1', '/b?token=2']) {
      const response = await client.ask(GET(target));
      expect([response.line, response.body]).toEqual(['HTTP/1.1 200 OK', `sorry ${target}`]);
      expect(valuesOf(response, 'x-splitter-error')).toEqual(['UPSTREAM_CONNECT_FAILED']);
    }
    const [row] = splitter.ambassador.counters.variants();
    expect(row!.faults[FAULT_CODES.indexOf('UPSTREAM_CONNECT_FAILED')]).toBe(2);
  });

  it('leaves the responses of an upstream alone, unless upstreamErrors says otherwise', async () => {
    const upstream = await startUpstream(async (peer) => {
      for (;;) {
        await peer.request();
        await peer.send('HTTP/1.1 404 Not Found\r\nX-Own: 1\r\nContent-Length: 3\r\n\r\nown');
      }
    });
    const answer = { statuses: [404], respond: { ...SORRY, status: 200 }, keepStatus: true };
    const splitter = await startSplitter({
      upstreams: { up: { url: upstream.url } },
      routes: [
        { path: '/', upstream: 'up', errorAnswers: [answer] },
        {
          path: '/all',
          upstream: 'up',
          errorAnswers: [{ ...answer, upstreamErrors: true, setResponseHeaders: { 'X-Page': '1' } }],
        },
      ],
    });
    const client = await splitter.client();
    const own = await client.ask(GET('/'));
    expect([own.line, own.body, valuesOf(own, 'x-own')]).toEqual(['HTTP/1.1 404 Not Found', 'own', ['1']]);
    const replaced = await client.ask(GET('/all'));
    expect([replaced.line, replaced.body]).toEqual(['HTTP/1.1 404 Not Found', 'sorry /all']);
    expect([valuesOf(replaced, 'x-own'), valuesOf(replaced, 'x-page')]).toEqual([[], ['1']]);
    expect((await client.ask(GET('/'))).body).toBe('own');
  });

  it('are named by /explain, with the fields that the route sets', async () => {
    const { ambassador } = await startSplitter({
      upstreams: { up: { url: 'http://127.0.0.1:1' } },
      routes: [
        {
          path: '/',
          upstream: 'up',
          errorAnswers: [
            { statuses: [502], respond: SORRY },
            { statuses: [502, 404], respond: { ...SORRY, status: 404 }, keepStatus: true },
          ],
          setResponseHeaders: { 'X-Side': 'a', Server: '' },
        },
        { path: '/plain', upstream: 'up' },
        { path: '/here', respond: { status: 204 }, setResponseHeaders: { 'X-Side': 'b' } },
      ],
    });
    const explain = (url: string) => explainQuery(ambassador, `url=${url}`);
    expect(explain('/')).toMatchObject({
      upstream: 'up',
      responseFields: ['X-Side', 'Server'],
      errorAnswers: { 502: 200, 404: 404 },
    });
    expect(explain('/plain')).not.toHaveProperty('responseFields');
    expect(explain('/plain')).not.toHaveProperty('errorAnswers');
    expect(explain('/here')).toMatchObject({ answer: { status: 204 }, responseFields: ['X-Side'] });
  });
});
