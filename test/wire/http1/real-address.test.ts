// Whose request it is when proxies come before the splitter: fields of trusted proxies, and the PROXY protocol on raw
// sockets. An attack here is a client that claims to be another one: the forged address must not arrive.
import { describe, expect, it } from 'vitest';
import type { Message } from '../../support/message.ts';
import { binaryHeader, IPV4_BODY, IPV6_BODY } from '../../support/proxy-headers.ts';
import { type Document, startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n';

const statusOf = ({ line }: Message) => line.split(' ')[1];

/** A splitter that sends `$remote_addr` along, on an address with these settings. */
async function start(trustedProxies: object | undefined, listen: Document = {}, more: Document = {}) {
  const upstream = await startUpstream();
  const splitter = await startSplitter({
    listen: { address: '127.0.0.1:0', ...listen },
    forwarded: 'append',
    upstreams: { u: { url: upstream.url, setHeaders: { 'X-Real-IP': '$remote_addr' } } },
    routes: [{ upstream: 'u' }],
    ...more,
    ...(trustedProxies === undefined ? {} : { trustedProxies }),
  });
  const seen = () => {
    const field = (name: string) =>
      [...upstream.transcript.matchAll(new RegExp(`^${name}: (.*)\r$`, 'gm'))].map((match) => match[1]);
    return { client: field('X-Real-IP').at(-1), chain: field('X-Forwarded-For').at(-1) };
  };
  return { splitter, seen };
}

const LOCAL = { from: ['127.0.0.0/8'] };

describe('a field of a trusted proxy names the client', () => {
  it.each<[string, object, string[], string]>([
    ['the last address', LOCAL, ['X-Forwarded-For: 203.0.113.9'], '203.0.113.9'],
    ['trusted addresses are skipped', LOCAL, ['X-Forwarded-For: 203.0.113.9, 127.0.0.5'], '203.0.113.9'],
    [
      'only the last one without recursive',
      { ...LOCAL, recursive: false },
      ['X-Forwarded-For: 203.0.113.9, 127.0.0.5'],
      '127.0.0.5',
    ],
    ['a forged beginning of the chain', LOCAL, ['X-Forwarded-For: 6.6.6.6, 203.0.113.9'], '203.0.113.9'],
    [
      'several fields are one chain',
      LOCAL,
      ['X-Forwarded-For: 203.0.113.9', 'X-Forwarded-For: 127.0.0.2'],
      '203.0.113.9',
    ],
    ['an address with a port', LOCAL, ['X-Forwarded-For: 203.0.113.9:4711'], '203.0.113.9'],
    ['IPv6 in its one spelling', LOCAL, ['X-Forwarded-For: [2001:DB8:0::9]:80'], '2001:db8::9'],
    ['an IPv4-mapped address', LOCAL, ['X-Forwarded-For: ::ffff:203.0.113.9'], '203.0.113.9'],
    ['what is no address', LOCAL, ['X-Forwarded-For: unknown'], '127.0.0.1'],
    ['the chain ends at what is no address', LOCAL, ['X-Forwarded-For: unknown, 127.0.0.3'], '127.0.0.3'],
    ['an empty field', LOCAL, ['X-Forwarded-For: '], '127.0.0.1'],
    ['no field', LOCAL, [], '127.0.0.1'],
    ['another field', { ...LOCAL, header: 'X-Real-IP' }, ['X-Real-IP: 203.0.113.9'], '203.0.113.9'],
    ['a proxy that is not trusted', { from: ['10.0.0.0/8'] }, ['X-Forwarded-For: 6.6.6.6'], '127.0.0.1'],
  ])('%s', async (_what, trusted, fields, client) => {
    const { splitter, seen } = await start(trusted);
    const socket = await splitter.client();
    await socket.ask(`${GET}${fields.map((line) => `${line}\r\n`).join('')}\r\n`);
    expect(seen().client).toBe(client);
  });

  it('for each request of a connection anew, and X-Forwarded-For has the same', async () => {
    const { splitter, seen } = await start(LOCAL);
    const socket = await splitter.client();
    await socket.ask(`${GET}X-Forwarded-For: 203.0.113.9\r\n\r\n`);
    expect(seen()).toEqual({ client: '203.0.113.9', chain: '203.0.113.9, 203.0.113.9' });
    await socket.ask(`${GET}\r\n`);
    expect(seen()).toEqual({ client: '127.0.0.1', chain: '127.0.0.1' });
  });
});

const PROXIED = { ...LOCAL, header: 'proxyProtocol' };
const LINE = Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.9 56324 443\r\n');

describe('a PROXY header names the client of its connection', () => {
  it.each<[string, Buffer, string]>([
    ['a line', LINE, '192.0.2.7'],
    ['binary IPv4', binaryHeader(0x21, 0x11, IPV4_BODY), '192.0.2.7'],
    ['binary IPv6', binaryHeader(0x21, 0x21, IPV6_BODY), '2001:db8::7'],
    ['LOCAL: the proxy itself', binaryHeader(0x20, 0, Buffer.alloc(0)), '127.0.0.1'],
    ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
  ])('%s', async (_what, header, client) => {
    const { splitter, seen } = await start(PROXIED, { proxyProtocol: true });
    const socket = await splitter.client();
    await socket.ask(Buffer.concat([header, Buffer.from(`${GET}\r\n`)]));
    expect(seen()).toEqual({ client, chain: client });
    await socket.ask(`${GET}\r\n`);
    expect(seen().client).toBe(client);
  });

  it('however its bytes are cut', async () => {
    const { splitter, seen } = await start(PROXIED, { proxyProtocol: true });
    const bytes = Buffer.concat([LINE, Buffer.from(`${GET}\r\n`)]);
    for (const cut of [1, 6, LINE.length - 1, LINE.length, LINE.length + 1]) {
      const socket = await splitter.client();
      const response = await socket.ask(bytes.subarray(0, cut), bytes.subarray(cut));
      expect([cut, statusOf(response), seen().client]).toEqual([cut, '200', '192.0.2.7']);
    }
  });

  it('and requests that were sent along with it are answered in order', async () => {
    const { splitter } = await start(PROXIED, { proxyProtocol: true });
    const socket = await splitter.client();
    await socket.send(Buffer.concat([LINE, Buffer.from(`${GET}\r\n${GET}\r\n`)]));
    expect([statusOf(await socket.response()), statusOf(await socket.response())]).toEqual(['200', '200']);
  });

  it.each<[string, object | undefined, Buffer]>([
    ['no header', PROXIED, Buffer.from(`${GET}\r\n`)],
    ['a malformed one', PROXIED, Buffer.from('PROXY TCP9 1 2 3 4\r\n')],
    ['one of a proxy that is not trusted', { from: ['10.0.0.0/8'], header: 'proxyProtocol' }, LINE],
  ])('%s closes the connection without an answer', async (_what, trusted, bytes) => {
    const { splitter } = await start(trusted, { proxyProtocol: true });
    const socket = await splitter.client();
    await socket.send(bytes);
    await socket.ended;
    expect(socket.bytesReceived).toBe(0);
  });

  it.each(['', 'PROXY TCP4 '])(
    'a connection that ends after %j gets no answer, and the next one its own',
    async (begun) => {
      const { splitter, seen } = await start(PROXIED, { proxyProtocol: true });
      const ending = await splitter.client();
      if (begun !== '') await ending.send(begun);
      ending.end();
      await ending.ended;
      expect(ending.bytesReceived).toBe(0);
      const socket = await splitter.client();
      await socket.ask(Buffer.concat([LINE, Buffer.from(`${GET}\r\n`)]));
      expect(seen().client).toBe('192.0.2.7');
    },
  );

  it('one that does not come in time closes the connection', async () => {
    const { splitter } = await start(PROXIED, { proxyProtocol: true }, { timeouts: { requestHead: '1s' } });
    const socket = await splitter.client();
    await socket.send('PROXY TCP4 ');
    await socket.ended;
    expect(socket.bytesReceived).toBe(0);
  });
});

it('a header that nobody asked for is no request', async () => {
  const { splitter } = await start(undefined);
  const socket = await splitter.client();
  expect(statusOf(await socket.ask(LINE))).toBe('400');
});
