// Headers of the PROXY protocol, the same bytes to nginx and to the splitter: what each takes the client to be, and which
// connections it closes. Where the splitter is stricter (decision 51), the difference is written down here.
import { connect } from 'node:net';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Ambassador } from '../../src/ambassador.ts';
import { parseNginx } from '../../src/config/nginx/translate.ts';
import { freePort } from '../support/free-port.ts';
import { NGINX_VERSION, startNginxFile } from '../support/nginx.ts';
import { binaryHeader, IPV4_BODY, IPV6_BODY, NOOP } from '../support/proxy-headers.ts';

const fileAt = (port: number) => `events {}
http {
  set_real_ip_from 127.0.0.0/8; real_ip_header proxy_protocol;
  server { listen 127.0.0.1:${port} proxy_protocol; location / {
    return 200 "$remote_addr $realip_remote_addr [$proxy_protocol_addr] [$proxy_protocol_port] [$proxy_protocol_server_addr] [$proxy_protocol_server_port]"; } }
}
`;
const GET = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
const line = (text: string) => Buffer.from(`PROXY ${text}\r\n`);
const CHECKSUM = Buffer.from([3, 0, 4, 1, 2, 3, 4]);

const EQUAL: Record<string, Buffer> = {
  'a line': line('TCP4 192.0.2.7 10.0.0.9 56324 443'),
  'a line for IPv6': line('TCP6 2001:db8::7 2001:db8::9 56324 443'),
  UNKNOWN: line('UNKNOWN'),
  'UNKNOWN with more': line('UNKNOWN a b c'),
  'a line of no family': line('TCP9 1 2 3 4'),
  'no header': Buffer.alloc(0),
  'binary IPv4': binaryHeader(0x21, 0x11, IPV4_BODY),
  'binary IPv6': binaryHeader(0x21, 0x21, IPV6_BODY),
  'with TLVs': binaryHeader(0x21, 0x11, Buffer.concat([IPV4_BODY, NOOP, NOOP])),
  'with a wrong checksum, which both leave alone': binaryHeader(
    0x21,
    0x11,
    Buffer.concat([IPV4_BODY, CHECKSUM]),
  ),
  LOCAL: binaryHeader(0x20, 0, Buffer.alloc(0)),
  'LOCAL with an address': binaryHeader(0x20, 0x11, IPV4_BODY),
  UNSPEC: binaryHeader(0x21, 0, Buffer.alloc(0)),
  'UNSPEC with a TLV': binaryHeader(0x21, 0, NOOP),
  'a Unix socket': binaryHeader(0x21, 0x31, Buffer.alloc(216, 'x')),
  'a datagram': binaryHeader(0x21, 0x12, IPV4_BODY),
  'too short for its family': binaryHeader(0x21, 0x11, IPV4_BODY.subarray(0, 8)),
  'another version': binaryHeader(0x11, 0x11, IPV4_BODY),
};

/** Taken by nginx, closed by the splitter. */
const STRICTER: Record<string, Buffer> = {
  'an unknown command': binaryHeader(0x2f, 0x11, IPV4_BODY),
  'an unknown family': binaryHeader(0x21, 0x41, IPV4_BODY),
  'a port with a leading zero': line('TCP4 192.0.2.7 10.0.0.9 056 443'),
  'an address of the other family': line('TCP4 2001:db8::7 10.0.0.9 1 2'),
};

/** The body that a request after this header gets; "closed" for none. */
async function answerOf(port: number, header: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat([header, Buffer.from(GET)])));
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('close', resolve));
  return text === '' ? 'closed' : text.slice(text.indexOf('\r\n\r\n') + 4);
}

describe.skipIf(NGINX_VERSION === null)('headers of the PROXY protocol, beside nginx', () => {
  it('name the same client, or close the connection in both', async () => {
    const port = await freePort();
    const nginx = await startNginxFile(fileAt(port), port);
    onTestFinished(() => nginx.stop());
    const { config } = parseNginx(fileAt(0), 'nginx.conf', { readInclude: () => [] });
    const ambassador = new Ambassador(config!, { log: pino({ level: 'silent' }) });
    onTestFinished(() => ambassador.stop());
    await ambassador.start();
    const own = Number(/:(\d+)$/.exec(ambassador.listening[0]!)![1]);
    for (const [what, header] of Object.entries(EQUAL))
      expect([what, await answerOf(own, header)]).toEqual([what, await answerOf(port, header)]);
    for (const [what, header] of Object.entries(STRICTER)) {
      expect([what, await answerOf(own, header)]).toEqual([what, 'closed']);
      expect([what, await answerOf(port, header)]).not.toEqual([what, 'closed']);
    }
  });
});
