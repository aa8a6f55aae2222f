// The PROXY protocol before TLS, as load balancers send it to `listen … ssl proxy_protocol`: a header in plain text, then the
// handshake. An attack here is a client that names another one where no proxy is trusted to do so.
import { connect as connectPlain, createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type CertificateFiles, TestAuthority } from '../../support/certificates.ts';
import { binaryHeader, IPV4_BODY, IPV6_BODY, NOOP } from '../../support/proxy-headers.ts';
import { type Document, startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n';
const LINE = Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.9 56324 443\r\n');

let authority: TestAuthority;
let shop: CertificateFiles;
beforeAll(() => {
  authority = new TestAuthority();
  shop = authority.issue({ names: ['shop.example'] });
});
afterAll(() => authority.close());

/** A splitter with TLS after a PROXY header, before an upstream that answers with the head of the request. */
async function start(from: readonly string[] = ['127.0.0.0/8'], more: Document = {}) {
  const upstream = await startUpstream(async (peer) => {
    for (;;) {
      const { raw } = await peer.request();
      await peer.ok(raw);
    }
  });
  return startSplitter({
    listen: { address: '127.0.0.1:0', tls: shop, proxyProtocol: true },
    trustedProxies: { from: [...from], header: 'proxyProtocol' },
    forwarded: 'append',
    upstreams: {
      u: { url: upstream.url, setHeaders: { 'X-Real-IP': '$remote_addr', 'X-Scheme': '$scheme' } },
    },
    routes: [{ upstream: 'u' }],
    ...more,
  });
}

/** What a TLS client gets whose balancer sends `header` before its first bytes; the first `cut` bytes go alone. */
function askThrough(port: number, header: Buffer, cut: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const balancer = createServer((client: Socket) => {
      const onward = connectPlain(port, '127.0.0.1');
      onward.setNoDelay(true);
      client.once('data', (hello: Buffer) => {
        const bytes = Buffer.concat([header, hello]);
        onward.write(bytes.subarray(0, cut), () =>
          // In a later turn of the event loop, so that the pieces are two reads.
          setImmediate(() => {
            onward.write(bytes.subarray(cut));
            client.pipe(onward).pipe(client);
          }),
        );
      });
      onward.on('error', () => client.destroy());
      client.on('error', () => onward.destroy());
    });
    onTestFinished(() => void balancer.close());
    balancer.listen(0, '127.0.0.1', () => {
      const { port: own } = balancer.address() as { port: number };
      const client = connect({
        port: own,
        host: '127.0.0.1',
        servername: 'shop.example',
        ca: authority.caBytes,
      });
      let text = '';
      client.on('secureConnect', () => client.write(GET));
      client.on('data', (chunk) => {
        text += chunk;
      });
      client.on('error', reject);
      client.on('end', () => resolve(text));
    });
  });
}

const field = (text: string, name: string) => new RegExp(`^${name}: (.*)\r$`, 'm').exec(text)?.[1];

describe('a PROXY header before TLS names the client', () => {
  const unix = binaryHeader(0x21, 0x31, Buffer.alloc(216, 'x'));
  it.each<[what: string, header: Buffer, client: string]>([
    ['a line', LINE, '192.0.2.7'],
    ['a line for IPv6', Buffer.from('PROXY TCP6 2001:db8::7 2001:db8::9 56324 443\r\n'), '2001:db8::7'],
    ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
    ['binary IPv4', binaryHeader(0x21, 0x11, IPV4_BODY), '192.0.2.7'],
    ['binary IPv6', binaryHeader(0x21, 0x21, IPV6_BODY), '2001:db8::7'],
    ['with TLVs', binaryHeader(0x21, 0x11, Buffer.concat([IPV4_BODY, NOOP, NOOP])), '192.0.2.7'],
    ['LOCAL', binaryHeader(0x20, 0, Buffer.alloc(0)), '127.0.0.1'],
    ['LOCAL with an address, which does not count', binaryHeader(0x20, 0x11, IPV4_BODY), '127.0.0.1'],
    ['UNSPEC', binaryHeader(0x21, 0, Buffer.alloc(0)), '127.0.0.1'],
    ['a Unix socket', unix, '127.0.0.1'],
  ])('%s', async (_, header, client) => {
    const splitter = await start();
    // All at once, the header alone, a part of it, and the handshake in two parts.
    for (const cut of [0, 1, header.length - 1, header.length, header.length + 3]) {
      const text = await askThrough(splitter.port, header, cut);
      expect([cut, field(text, 'X-Real-IP'), field(text, 'X-Forwarded-For')]).toEqual([cut, client, client]);
      expect(field(text, 'X-Scheme')).toBe('https');
    }
  });
});

describe('a connection is closed before the handshake', () => {
  /** How many bytes come back for these. */
  const received = async (port: number, bytes: Buffer): Promise<number> =>
    new Promise((resolve) => {
      const socket = connectPlain(port, '127.0.0.1', () => socket.write(bytes));
      socket.on('error', () => undefined);
      socket.resume();
      socket.on('close', () => resolve(socket.bytesRead));
    });
  // The beginning of a ClientHello.
  const HELLO = Buffer.from('16030100c8010000c40303', 'hex');

  it.each<[what: string, bytes: Buffer]>([
    ['TLS without a header', HELLO],
    ['plain HTTP without a header', Buffer.from(GET)],
    ['a line of a family that is none', Buffer.from('PROXY TCP9 1 2 3 4\r\n')],
    ['an address of the other family', Buffer.from('PROXY TCP4 2001:db8::7 10.0.0.9 1 2\r\n')],
    ['a line that is too long', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`)],
    ['a binary header that is too long', binaryHeader(0x21, 0x11, Buffer.alloc(5000))],
    ['one too short for its family', binaryHeader(0x21, 0x11, Buffer.alloc(8))],
    ['another version', binaryHeader(0x11, 0x11, IPV4_BODY)],
    ['an unknown command', binaryHeader(0x2f, 0x11, IPV4_BODY)],
    ['an unknown family', binaryHeader(0x21, 0x41, IPV4_BODY)],
  ])('for %s', async (_, bytes) => {
    const splitter = await start();
    expect(await received(splitter.port, bytes)).toBe(0);
    // The port serves on.
    expect(field(await askThrough(splitter.port, LINE, 0), 'X-Real-IP')).toBe('192.0.2.7');
  });

  it('for a sender that is not trusted', async () => {
    const splitter = await start(['10.0.0.0/8']);
    expect(await received(splitter.port, Buffer.concat([LINE, HELLO]))).toBe(0);
  });

  it('for a header that does not end in time', async () => {
    const splitter = await start(undefined, { timeouts: { requestHead: '1s' } });
    expect(await received(splitter.port, LINE.subarray(0, 12))).toBe(0);
  });
});

it('plain text after the header is told that TLS is expected', async () => {
  const splitter = await start();
  const text = await new Promise<string>((resolve) => {
    let all = '';
    const socket = connectPlain(splitter.port, '127.0.0.1', () =>
      socket.write(Buffer.concat([LINE, Buffer.from(GET)])),
    );
    socket.on('data', (chunk) => {
      all += chunk;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(all));
  });
  expect(text).toMatch(/^HTTP\/1\.1 400 /);
  expect(field(text, 'x-splitter-error')).toBe('TLS_EXPECTED');
});
