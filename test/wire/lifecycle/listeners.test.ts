// Where requests are taken: IPv4 and IPv6, Unix sockets, several addresses; and what happens when the process has no
// file descriptor left for one more client.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { ListenFailure } from '../../../src/ambassador.ts';
import { statusOf, valuesOf } from '../../support/message.ts';
import { RawClient } from '../../support/raw-client.ts';
import { startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

const to = (url: string, listen: string | string[]) => ({
  listen,
  upstreams: { u: { url } },
  routes: [{ upstream: 'u' }],
});

describe('a listener', () => {
  it('without a host takes IPv4 and IPv6, and tells the plain IPv4 address of an IPv4 client', async () => {
    const upstream = await startUpstream();
    const splitter = await startSplitter(to(upstream.url, ':0'));
    for (const [host, seen] of [
      ['127.0.0.1', '127.0.0.1'],
      ['::1', '::1'],
    ] as const) {
      const socket = connect(splitter.port, host);
      await once(socket, 'connect');
      const client = new RawClient(socket);
      expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
      client.close();
      expect(valuesOf(upstream.requests.at(-1)!, 'x-forwarded-for')).toEqual([seen]);
    }
  });

  it('on a Unix socket serves like any other, and knows no client address to tell', async () => {
    const path = join(tmpdir(), `request-splitter-${process.pid}.sock`);
    const upstream = await startUpstream();
    const splitter = await startSplitter(to(upstream.url, `unix:${path}`));
    expect(splitter.ambassador.listening).toEqual([`unix:${path}`]);
    const client = await RawClient.connect(path);
    onTestFinished(() => client.close());
    expect((await client.ask(GET)).body).toBe('GET / HTTP/1.1');
    expect(valuesOf(upstream.requests[0]!, 'x-forwarded-for')).toEqual([]);
    expect(valuesOf(upstream.requests[0]!, 'x-forwarded-proto')).toEqual(['http']);
  });

  it('on several addresses serves on all of them', async () => {
    const upstream = await startUpstream();
    const { ambassador } = await startSplitter(to(upstream.url, ['127.0.0.1:0', '127.0.0.2:0']));
    for (const url of ambassador.listening) {
      const { hostname, port } = new URL(url);
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect');
      const client = new RawClient(socket);
      expect(statusOf(await client.ask(GET))).toBe(200);
      client.close();
    }
    expect(ambassador.listening).toHaveLength(2);
  });

  it('on an address that is taken says which, and none of the others is kept', async () => {
    const upstream = await startUpstream();
    const first = await startSplitter(to(upstream.url, '127.0.0.1:0'));
    const taken = `127.0.0.1:${first.port}`;
    const second = startSplitter(to(upstream.url, ['127.0.0.1:0', taken]));
    await expect(second).rejects.toThrow(ListenFailure);
    await expect(second).rejects.toThrow(taken);
  });
});

describe('a process without file descriptors left', () => {
  it('serves those that it has, and new ones again when some have left', async () => {
    const upstream = await startUpstream();
    const environment = {
      PATH: process.env.PATH,
      LISTEN: '127.0.0.1:0',
      ADMIN: 'off',
      SPLIT: `* ${upstream.url}`,
    };
    // Node itself needs some thirty; what is left is fewer than the clients below.
    const child = spawn(
      'sh',
      ['-c', 'ulimit -n 64 && exec "$0" "$1"', process.execPath, inject('builtMain')],
      {
        env: environment,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    onTestFinished(async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null) await once(child, 'exit');
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    let port = 0;
    while (port === 0) {
      await once(child.stdout, 'data');
      port = Number(/http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1] ?? 0);
    }
    const early = await RawClient.connect(port);
    onTestFinished(() => early.close());
    expect(statusOf(await early.ask(GET))).toBe(200);
    // Each is accepted, or let go at once; none of them hangs the process.
    const crowd: Socket[] = [];
    for (let i = 0; i < 80; i++) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => socket.destroy());
      await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
      crowd.push(socket);
    }
    // One that is connected is served, from an upstream connection that is open, or told so.
    expect([200, 502, 503]).toContain(statusOf(await early.ask(GET)));
    for (const socket of crowd) socket.destroy();
    // When the crowd is gone the next client is served; until the last one is noticed it may be turned away.
    let status = 0;
    while (status !== 200) {
      const late = await RawClient.connect(port);
      status = await late.ask(GET).then(statusOf, () => 0);
      late.close();
    }
    expect(child.exitCode).toBeNull();
  });
});
