// The PROXY header byte by byte: every cut, every version, every limit, and everything that is none.
import { describe, expect, it } from 'vitest';
import { PROXY_HEADER_BYTES_MAX, readProxyHeader } from '../../../src/transport/proxy-header.ts';
import { binaryHeader, IPV4_BODY, IPV6_BODY, NOOP } from '../../support/proxy-headers.ts';

const V4 = { address: '192.0.2.7', port: 56324, serverAddress: '10.0.0.9', serverPort: 443 };
const V6 = { address: '2001:db8::7', port: 56324, serverAddress: '2001:db8::9', serverPort: 443 };
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
const text = (line: string) => Buffer.from(`${line}\r\n`, 'latin1');

const GOOD: Record<string, readonly [Buffer, object | null]> = {
  'a TCP4 line': [text('PROXY TCP4 192.0.2.7 10.0.0.9 56324 443'), V4],
  'a TCP6 line': [text('PROXY TCP6 2001:DB8:0:0::7 2001:db8::9 56324 443'), V6],
  'an IPv4-mapped address': [text('PROXY TCP6 ::ffff:192.0.2.7 ::ffff:10.0.0.9 56324 443'), { ...V4 }],
  'an unknown connection': [text('PROXY UNKNOWN'), null],
  'an unknown connection with addresses': [text('PROXY UNKNOWN ffff::1 ffff::2 1 2'), null],
  'the longest line': [text(`PROXY UNKNOWN ${'x'.repeat(107 - 16)}`), null],
  'a binary header of IPv4': [binaryHeader(0x21, 0x11, IPV4_BODY), V4],
  'a binary header of IPv6': [binaryHeader(0x21, 0x21, IPV6_BODY), V6],
  'a binary header with TLVs': [binaryHeader(0x21, 0x11, Buffer.concat([IPV4_BODY, NOOP, NOOP])), V4],
  'LOCAL, as a health check of the proxy itself': [binaryHeader(0x20, 0x00, Buffer.alloc(0)), null],
  'LOCAL with addresses': [binaryHeader(0x20, 0x11, IPV4_BODY), null],
  'an unspecified family': [binaryHeader(0x21, 0x00, Buffer.alloc(0)), null],
  'a datagram': [binaryHeader(0x21, 0x12, IPV4_BODY), null],
  'a Unix socket': [binaryHeader(0x21, 0x31, Buffer.alloc(216, 'x')), null],
  'the longest binary header': [
    binaryHeader(0x21, 0x11, Buffer.concat([IPV4_BODY, Buffer.alloc(PROXY_HEADER_BYTES_MAX - 28)])),
    V4,
  ],
};

describe('a header is read', () => {
  it.each(Object.entries(GOOD))('%s', (_what, [bytes, header]) => {
    const whole = Buffer.concat([bytes, REQUEST]);
    expect(readProxyHeader(whole)).toEqual({ kind: 'read', end: bytes.length, header });
  });

  it.each(Object.entries(GOOD))('%s, cut at any byte', (_what, [bytes]) => {
    for (let cut = 0; cut < bytes.length; cut++)
      expect([cut, readProxyHeader(bytes.subarray(0, cut)).kind]).toEqual([cut, 'incomplete']);
  });
});

describe('everything else is refused', () => {
  it.each<[string, Buffer]>([
    ['a request', REQUEST],
    ['a TLS handshake', Buffer.from([0x16, 3, 1, 2, 0])],
    ['another case', text('proxy TCP4 192.0.2.7 10.0.0.9 56324 443')],
    ['an unknown protocol', text('PROXY TCP5 192.0.2.7 10.0.0.9 56324 443')],
    ['UDP', text('PROXY UDP4 192.0.2.7 10.0.0.9 56324 443')],
    ['a word glued to UNKNOWN', text('PROXY UNKNOWNS')],
    ['two spaces', text('PROXY TCP4  192.0.2.7 10.0.0.9 56324 443')],
    ['a space at the end', text('PROXY TCP4 192.0.2.7 10.0.0.9 56324 443 ')],
    ['a port above 65535', text('PROXY TCP4 192.0.2.7 10.0.0.9 65536 443')],
    ['a port with a zero in front', text('PROXY TCP4 192.0.2.7 10.0.0.9 056 443')],
    ['a sign', text('PROXY TCP4 192.0.2.7 10.0.0.9 -1 443')],
    ['IPv6 as TCP4', text('PROXY TCP4 2001:db8::7 2001:db8::9 56324 443')],
    ['IPv4 as TCP6', text('PROXY TCP6 192.0.2.7 10.0.0.9 56324 443')],
    ['no address', text('PROXY TCP4 192.0.2 10.0.0.9 56324 443')],
    ['a name', text('PROXY TCP4 localhost 10.0.0.9 56324 443')],
    ['a zone', text('PROXY TCP6 fe80::1%eth0 2001:db8::9 56324 443')],
    ['a line that ends in LF alone', Buffer.from(`PROXY TCP4 192.0.2.7 10.0.0.9 1 2\n${REQUEST}`, 'latin1')],
    ['a line of 108 bytes', text(`PROXY UNKNOWN ${'x'.repeat(108 - 16)}`)],
    ['a line without an end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(93)}`)],
    ['version 1 in binary', binaryHeader(0x11, 0x11, IPV4_BODY)],
    ['version 3', binaryHeader(0x31, 0x11, IPV4_BODY)],
    ['another command', binaryHeader(0x22, 0x11, IPV4_BODY)],
    ['an unknown family', binaryHeader(0x21, 0x41, IPV4_BODY)],
    ['an unknown kind of socket', binaryHeader(0x21, 0x13, IPV4_BODY)],
    ['addresses that are too short', binaryHeader(0x21, 0x11, IPV4_BODY.subarray(1))],
    ['IPv6 with the bytes of IPv4', binaryHeader(0x21, 0x21, IPV4_BODY)],
    ['more bytes than are read', binaryHeader(0x21, 0x11, IPV4_BODY, PROXY_HEADER_BYTES_MAX - 15)],
  ])('%s', (_what, bytes) => {
    expect(readProxyHeader(bytes).kind).toBe('refused');
  });
});
