// Routes on real sockets: by the address a request came in, by exact and normalised path, each with its own body limit.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import { RawClient } from '../../support/raw-client.ts';
import { startSplitter, startUpstream } from '../../support/splitter.ts';

it('requests go by the address that they came in', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'splitter-routes-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'a.sock');
  const [a, b] = [await startUpstream(), await startUpstream()];
  const splitter = await startSplitter({
    listen: ['127.0.0.1:0', `unix:${path}`],
    routes: [{ upstream: a.url }, { upstream: b.url, listen: `unix:${path}` }],
  });
  const inside = await RawClient.connect(path);
  onTestFinished(() => inside.close());
  await inside.ask('GET /inside HTTP/1.1\r\nHost: h\r\n\r\n');
  await (await splitter.client()).ask('GET /outside HTTP/1.1\r\nHost: h\r\n\r\n');
  expect(a.lines).toEqual(['GET /outside HTTP/1.1']);
  expect(b.lines).toEqual(['GET /inside HTTP/1.1']);
});

it('no spelling of a path leads past its route, and it goes upstream as it came', async () => {
  const [open, closed] = [await startUpstream(), await startUpstream()];
  const splitter = await startSplitter({
    routes: [{ upstream: open.url }, { upstream: closed.url, path: '/admin' }],
  });
  const client = await splitter.client();
  const targets = ['/%61dmin', '/x/../admin/', '//admin', '/./admin?x', '/administration'];
  for (const target of targets) await client.ask(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
  expect(open.lines).toEqual([]);
  expect(closed.lines).toEqual(targets.map((target) => `GET ${target} HTTP/1.1`));
  const refused = await client.ask('GET /../admin HTTP/1.1\r\nHost: h\r\n\r\n');
  expect([statusOf(refused), ...valuesOf(refused, 'x-splitter-error')]).toEqual([400, 'BAD_TARGET']);
  expect(valuesOf(refused, 'connection')).toEqual(['close']);
});

it('a route may have a body limit of its own, larger or smaller than that of all', async () => {
  const upstream = await startUpstream();
  const splitter = await startSplitter({
    limits: { requestBody: '4B' },
    routes: [
      { upstream: upstream.url },
      { upstream: upstream.url, path: '/large', limits: { requestBody: '8B' } },
      { upstream: upstream.url, path: '/none', limits: { requestBody: '0B' } },
    ],
  });
  const client = await splitter.client();
  const sized = async (path: string, size: number) =>
    statusOf(
      await client.ask(
        `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`,
      ),
    );
  expect([await sized('/', 4), await sized('/large', 8), await sized('/none', 0)]).toEqual([200, 200, 200]);
  const chunked = `POST /large HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n`;
  expect(statusOf(await client.ask(chunked))).toBe(413);
  const other = await splitter.client();
  expect(statusOf(await other.ask('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n'))).toBe(413);
});

it('a TRACE that is refused ends its connection', async () => {
  const upstream = await startUpstream();
  const splitter = await startSplitter({ trace: 'refuse', routes: [{ upstream: upstream.url }] });
  const client = await splitter.client();
  const refused = await client.ask('TRACE / HTTP/1.1\r\nHost: h\r\n\r\n');
  expect([statusOf(refused), ...valuesOf(refused, 'connection')]).toEqual([405, 'close']);
  expect(upstream.lines).toEqual([]);
});
