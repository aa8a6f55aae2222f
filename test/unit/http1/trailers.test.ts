// Trailer sections: what is read of one, and which trailers follow the last chunk.
import { describe, expect, it } from 'vitest';
import { foldedName } from '../../../src/http1/field-names.ts';
import { INCOMPLETE, REFUSED } from '../../../src/http1/fields.ts';
import { ResponseFraming } from '../../../src/http1/framing.ts';
import { Output } from '../../../src/http1/output.ts';
import { TrailerSection, writeLastChunk } from '../../../src/http1/trailers.ts';
import { headOf } from '../../support/forwarding.ts';
import { fieldsOf, latin1 } from '../../support/head-feeding.ts';

describe('a trailer section', () => {
  it('is a field section of its own, up to its empty line', () => {
    const section = new TrailerSection(false);
    const bytes = latin1('A: b\r\nC:d\r\n\r\nGET /');
    expect(section.parse(bytes, 0, bytes.length)).toBe(13);
    expect(fieldsOf(section)).toEqual([
      ['A', 'b'],
      ['C', 'd'],
    ]);
  });

  it('without fields is an empty line', () => {
    const section = new TrailerSection(false);
    expect(section.parse(latin1('xx\r\n'), 2, 4)).toBe(4);
    expect(section.count).toBe(0);
  });

  it('says INCOMPLETE for every beginning, and BAD_CHUNK for a fault', () => {
    const section = new TrailerSection(false);
    const whole = latin1('A: b\r\n\r\n');
    for (let to = 0; to < whole.length; to++) expect(section.parse(whole, 0, to)).toBe(INCOMPLETE);
    const bad = latin1('A : b\r\n\r\n');
    expect(section.parse(bad, 0, bad.length)).toBe(REFUSED);
    expect(section.fault).toBe('BAD_CHUNK');
  });
});
describe('the end of a chunked body', () => {
  const endOf = (framing: ResponseFraming, lines: string[], dropped: Uint8Array[] | null = null) => {
    const section = new TrailerSection(false);
    const bytes = latin1(headOf(...lines, '').slice(0, lines.length === 0 ? 2 : -2));
    expect(section.parse(bytes, 0, bytes.length)).toBe(bytes.length);
    const out = new Output(16);
    writeLastChunk(out, section, framing, dropped);
    return out.bytes.toString('latin1', 0, out.length);
  };
  const end = (...lines: string[]) => endOf(new ResponseFraming(), lines);

  it('is the last chunk and an empty line', () => {
    expect(end()).toBe('0\r\n\r\n');
  });

  it('carries no trailer of a dropped name', () => {
    const lines = ['X-Variant: forged', 'x_variant: forged', 'A: b'];
    expect(endOf(new ResponseFraming(), lines, [foldedName('x-variant')])).toBe('0\r\nA: b\r\n\r\n');
  });

  it('carries no trailers when Connection nominates a field, which may be one of them', () => {
    const framing = new ResponseFraming();
    framing.nominated.push(0, 5);
    expect(endOf(framing, ['X-Hop: secret', 'A: b'])).toBe('0\r\n\r\n');
  });

  it('carries the trailers in canonical form', () => {
    expect(end('X-Sum:1', 'grpc-status: \t0 ')).toBe('0\r\nX-Sum: 1\r\ngrpc-status: 0\r\n\r\n');
  });

  it.each([
    'TE: trailers',
    'Trailer: X',
    'Keep-Alive: x',
    'Proxy-Connection: x',
    'Authorization: x',
    'Proxy-Authorization: x',
    'Cookie: a=b',
    'SET-COOKIE: a=b',
    'Content-Type: text/html',
    'Content-Encoding: gzip',
    'Content-Range: bytes 0-1/2',
    'Cache-Control: no-store',
    'Location: /',
    'Vary: *',
    'Expect: 100-continue',
    'Max-Forwards: 0',
    'X-Forwarded-For: 1.1.1.1',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: evil',
    'Forwarded: for=1.1.1.1',
    'Via: 1.1 x',
    'X-Splitter-Error: INTERNAL',
    'X_Splitter_Fallback: b',
    'X.Splitter-Anything: b',
    'X_Forwarded_For: 1.1.1.1',
    'X-Forwarded_Proto: https',
    'X.Forwarded.Host: evil',
    'X-Forwarded-Port: 443',
    'Set_Cookie: a=b',
    'Proxy_Authorization: x',
    'Content_Type: text/html',
  ])('leaves out %s, which some reader would merge into the head', (line) => {
    expect(end('A: 1', line, 'B: 2')).toBe('0\r\nA: 1\r\nB: 2\r\n\r\n');
  });
});
