// Clients of the admin port that are silent, drip, pipeline or do not read: probes are answered meanwhile, in bounded memory.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import { AdminListener } from '../../../src/admin/listener.ts';
import { Rendering } from '../../../src/admin/rendering.ts';
import { type Answer, text } from '../../../src/admin/request.ts';
import { type AdminServer, startAdmin } from '../../../src/admin/server.ts';
import { fakeRunning } from '../../support/fake-running.ts';
import type { Message } from '../../support/message.ts';
import { ProgramRun } from '../../support/program.ts';
import { RawClient } from '../../support/raw-client.ts';

const ANY_PORT = { host: '127.0.0.1', port: 0, path: null } as const;
const GET = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function open(): Promise<AdminServer> {
  const admin = await startAdmin(fakeRunning(), ANY_PORT);
  ends.push(() => admin.close());
  return admin;
}
const statusOf = ({ line }: Message) => Number(line.slice(9, 12));
const fieldOf = ({ fields }: Message, wanted: string) =>
  fields.find(([name]) => name.toLowerCase() === wanted)?.[1];
const portOf = (address: string) => Number(new URL(address).port);

async function client(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => socket.destroy());
  ends.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

describe('a probe is answered', () => {
  test.each([
    ['500 connections that send nothing', ''],
    ['500 connections in the middle of a head', 'GET /metrics HTTP/1.1\r\nHost: loc'],
    ['500 connections that ask and do not read', GET('/metrics').repeat(20)],
  ])('beside %s', async (_, sent) => {
    const { address } = await open();
    const others = await Promise.all(Array.from({ length: 500 }, () => client(portOf(address))));
    for (const socket of others) {
      socket.pause();
      socket.write(sent);
    }
    for (const path of ['/healthz', '/readyz', '/healthz']) {
      expect((await fetch(address + path, { headers: { connection: 'close' } })).status).toBe(200);
    }
  });

  test('while those that wait longest are dropped, which /metrics counts', async () => {
    const { address } = await open();
    const [first, ...others] = await Promise.all(Array.from({ length: 700 }, () => client(portOf(address))));
    expect(others).toHaveLength(699);
    await once(first!.resume(), 'close');
    const counts = await (await fetch(`${address}/metrics`)).text();
    expect(counts).toMatch(/splitter_admin_connections_dropped_total\{reason="evicted"\} [1-9]/);
  });
});

describe('requests on one connection', () => {
  test('are answered one by one and in order', async () => {
    const { address } = await open();
    const raw = await RawClient.connect(portOf(address));
    await raw.send(GET('/healthz') + GET('/nowhere') + GET('/metrics') + GET('/readyz'));
    const statuses: number[] = [];
    for (let count = 0; count < 4; count += 1) statuses.push(statusOf(await raw.response()));
    expect(statuses).toEqual([200, 404, 200, 200]);
  });

  test('are read whatever the pieces in which they come', async () => {
    const { address } = await open();
    const raw = await RawClient.connect(portOf(address));
    const request = `\r\n${GET('/healthz')}`;
    expect(statusOf(await raw.ask(...request))).toBe(200);
    expect(statusOf(await raw.ask(...request))).toBe(200);
  });

  test('end after a body, which is not read as a request', async () => {
    const { address } = await open();
    const raw = await RawClient.connect(portOf(address));
    const body = GET('/status');
    const response = await raw.ask(GET('/healthz', `Content-Length: ${body.length}\r\n`) + body);
    expect([statusOf(response), fieldOf(response, 'connection')]).toEqual([200, 'close']);
    await raw.ended;
  });

  test.each([
    ['two Host fields', GET('/healthz', 'Host: localhost\r\n'), 400],
    ['no Host field', 'GET /healthz HTTP/1.1\r\n\r\n', 400],
    ['a Host with a space', 'GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n', 403],
    [
      'Content-Length with Transfer-Encoding',
      GET('/healthz', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'),
      400,
    ],
    ['a bare line feed', 'GET /healthz HTTP/1.1\nHost: localhost\n\n', 400],
    ['a request line of 9 KiB', GET(`/${'x'.repeat(9216)}`), 414],
    ['fields of 17 KiB', GET('/healthz', `x-a: ${'x'.repeat(17_408)}\r\n`), 431],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ])('are refused with %s', async (_, request, status) => {
    const { address } = await open();
    const raw = await RawClient.connect(portOf(address));
    const response = await raw.ask(request);
    expect([statusOf(response), fieldOf(response, 'connection')]).toEqual([status, 'close']);
  });
});

test('answers are compressed for clients that take gzip, and for no others', async () => {
  const { address } = await open();
  const raw = await RawClient.connect(portOf(address));
  for (const [accepted, isGzipped] of [
    ['gzip', true],
    ['br, GZIP;q=0.5', true],
    ['*', true],
    ['gzip;q=0, *', false],
    ['identity', false],
  ] as const) {
    const response = await raw.ask(GET('/metrics', `Accept-Encoding: ${accepted}\r\n`));
    expect([accepted, fieldOf(response, 'content-encoding')]).toEqual([
      accepted,
      isGzipped ? 'gzip' : undefined,
    ]);
    const bytes = Buffer.from(response.body, 'latin1');
    const body = isGzipped ? gunzipSync(bytes) : bytes;
    expect(body.toString()).toContain('splitter_config_info{hash="0123456789ab"} 1');
  }
});

test('clients that do not read make room for newer answers', async () => {
  // Larger than what the kernel buffers for a socket.
  const body = () => new Rendering(Buffer.alloc(16 * 1024 * 1024), null, performance.now()).hold();
  const answer = (): Answer => ({ ...text(200, ''), body: body() });
  const listener = new AdminListener(() => ({ answer, isProbe: () => false }));
  const port = portOf(await listener.listen(ANY_PORT));
  ends.push(() => listener.close());
  const first = await client(port);
  first.write(GET('/'));
  await once(first, 'readable');
  const second = await client(port);
  second.write(GET('/'));
  await once(second, 'readable');
  await once(first.resume(), 'close');
  expect(listener.dropped.evicted).toBe(1);
});

// The defect: every pipelined request was answered into memory at once, 170 KiB each; 56 KB of requests ended the process.
test('a client that pipelines thousands of large answers and reads none costs bounded memory', async () => {
  const program = new ProgramRun(['serve', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'], {
    SPLIT: '50% http://127.0.0.1:9; * http://127.0.0.1:9',
  });
  ends.push(() => program.kill());
  const { admin } = (await program.event('serving')) as { admin: string };
  const residentBytes = async (): Promise<number> => {
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    return Number(/^process_resident_memory_bytes (.*)$/m.exec(metrics)![1]);
  };
  const before = await residentBytes();
  const sockets = await Promise.all(Array.from({ length: 20 }, () => client(portOf(admin))));
  for (const socket of sockets) socket.pause().write(GET('/status?registers').repeat(1300));
  for (let probe = 0; probe < 200; probe += 1) {
    expect((await fetch(`${admin}/healthz`)).status).toBe(200);
  }
  expect((await residentBytes()) - before).toBeLessThan(64 * 1024 * 1024);
});
