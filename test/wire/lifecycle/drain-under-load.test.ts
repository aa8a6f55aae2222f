// SIGTERM in the middle of traffic, with the whole program: keep-alive clients that ask without a pause, slow
// exchanges and an open WebSocket. No accepted request is lost, and the exit code is 0 before the deadline.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { statusOf, valuesOf } from '../../support/message.ts';
import { ProgramRun } from '../../support/program.ts';
import { RawClient } from '../../support/raw-client.ts';
import { startUpstream } from '../../support/splitter.ts';

describe('SIGTERM under load', () => {
  it('loses no accepted request, ends slow exchanges and the WebSocket in order, and exits with 0', async () => {
    const gate = Promise.withResolvers<void>();
    const slowArrived = Promise.withResolvers<void>();
    const http = await startUpstream(async (peer) => {
      peer.keepsTranscript = false;
      for (;;) {
        const { line } = await peer.request();
        if (line.startsWith('GET /slow')) {
          slowArrived.resolve();
          await gate.promise;
        }
        await peer.ok(line);
      }
    });
    const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    onTestFinished(() => {
      for (const one of sockets.clients) one.terminate();
      sockets.close();
    });
    await once(sockets, 'listening');

    const folder = mkdtempSync(join(tmpdir(), 'drain-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'splitter.yaml');
    const { port: socketsPort } = sockets.address() as { port: number };
    writeFileSync(
      file,
      JSON.stringify({
        drain: { grace: '1s', deadline: '20s' },
        upstreams: { http: { url: http.url }, sockets: { url: `http://127.0.0.1:${socketsPort}` } },
        routes: [
          { path: '/ws', upstream: 'sockets' },
          { path: '/', upstream: 'http' },
        ],
      }),
    );
    const run = new ProgramRun([], { LISTEN: '127.0.0.1:0', ADMIN: 'off', CONFIG: file });
    onTestFinished(() => run.kill());
    const { listening } = await run.event<{ listening: string[] }>('serving');
    const port = Number(new URL(listening[0]!).port);

    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
    onTestFinished(() => socket.terminate());
    await once(socket, 'open');
    const socketClosed = once(socket, 'close');

    let answered = 0;
    const isBusy = Promise.withResolvers<void>();
    /** Asks without a pause until it is told that the connection closes. */
    const ask = async (id: number): Promise<number> => {
      const client = await RawClient.connect(port);
      onTestFinished(() => client.close());
      for (let count = 0; ; count++) {
        const response = await client.ask(`GET /${id}/${count}?token=${id} HTTP/1.1\r\nHost: h\r\n\r\n`);
        expect(statusOf(response)).toBe(200);
        expect(response.body).toBe(`GET /${id}/${count}?token=${id} HTTP/1.1`);
        if (++answered === 500) isBusy.resolve();
        if (!valuesOf(response, 'connection').includes('close')) continue;
        expect(await client.ended).toBe('end');
        client.close();
        return count + 1;
      }
    };
    const asking = Array.from({ length: 24 }, (_, id) => ask(id));
    const slow = Array.from({ length: 4 }, async (_, id) => {
      const client = await RawClient.connect(port);
      onTestFinished(() => client.close());
      const response = await client.ask(`GET /slow/${id} HTTP/1.1\r\nHost: h\r\n\r\n`);
      client.close();
      return response.body;
    });
    await Promise.all([isBusy.promise, slowArrived.promise]);
    socket.send('before');
    expect(String((await once(socket, 'message'))[0])).toBe('before');

    run.signal('SIGTERM');
    await run.event('draining');
    socket.send('during');
    expect(String((await once(socket, 'message'))[0])).toBe('during');
    // A client that comes in the grace time is served as well.
    const late = await RawClient.connect(port);
    onTestFinished(() => late.close());
    expect(statusOf(await late.ask('GET /late HTTP/1.1\r\nHost: h\r\n\r\n'))).toBe(200);

    const counts = await Promise.all(asking);
    gate.resolve();
    expect(await Promise.all(slow)).toEqual([0, 1, 2, 3].map((id) => `GET /slow/${id} HTTP/1.1`));
    socket.close(1000);
    await socketClosed;
    expect(await run.exitCode).toBe(0);
    expect(run.stdout).toContain('"msg":"drained"');
    // What was sent upstream is what was answered: nothing twice, nothing lost.
    const asked = counts.reduce((sum, count) => sum + count, 0) + slow.length + 1;
    expect(http.requests).toHaveLength(asked);
  });
});
