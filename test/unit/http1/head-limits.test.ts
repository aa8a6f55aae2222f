// The limits of message heads: what is just read, what is refused, and when a message that never ends is refused.
import { describe, expect, it } from 'vitest';
import { HEAD_LIMITS, REFUSED } from '../../../src/http1/fields.ts';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { ResponseHead } from '../../../src/http1/response-head.ts';
import { fieldsOf, latin1, readRequest, requestFacts } from '../../support/head-feeding.ts';

describe('limits of a request head', () => {
  const lineOf = (byteCount: number) => {
    const frame = 'GET / HTTP/1.1\r\n'.length;
    return `GET /${'a'.repeat(byteCount - frame)} HTTP/1.1\r\n`;
  };

  it('a request line of 8 KiB, its line end counted, is read; one byte more is TARGET_TOO_LONG', () => {
    expect(readRequest(`${lineOf(HEAD_LIMITS.lineBytesMax)}\r\n`).fault).toBeNull();
    expect(readRequest(`${lineOf(HEAD_LIMITS.lineBytesMax + 1)}\r\n`).fault).toBe('TARGET_TOO_LONG');
  });

  it('a request line that never ends is refused without waiting for its end', () => {
    for (const endless of [`GET /${'a'.repeat(9000)}`, 'A'.repeat(9000)]) {
      expect(readRequest(endless).fault).toBe('TARGET_TOO_LONG');
    }
  });

  it('a method, a target and an absolute-form that are too long are refused alike, ended or not', () => {
    for (const start of ['A'.repeat(9000), `GET http://${'a'.repeat(9000)}`, `GET /${'\xff'.repeat(9000)}`]) {
      expect(readRequest(start).fault).toBe('TARGET_TOO_LONG');
      expect(readRequest(`${start} / HTTP/1.1\r\n\r\n`).fault).toBe('TARGET_TOO_LONG');
      expect(readRequest(`${start}\0 / HTTP/1.1\r\n\r\n`).fault).toBe('TARGET_TOO_LONG');
    }
  });

  it('a line whose version stands across the limit is refused as too long, in pieces as well as whole', () => {
    for (const version of [' HTTP/1.1', ' HTTP/2.0', ' HTXX/1.1', ' HTTP/1.1 ']) {
      for (const spare of [1, 2, 5, 10]) {
        const line = `GET /${'a'.repeat(HEAD_LIMITS.lineBytesMax - 5 - spare)}${version}\r\n`;
        expect(readRequest(`${line}\r\n`).fault).toBe('TARGET_TOO_LONG');
      }
    }
  });

  const sectionOf = (byteCount: number) => {
    const lines = ['Host: h\r\n'];
    let left = byteCount - lines[0]!.length - 2;
    while (left > 0) {
      const size = left > 1010 ? 1000 : left;
      lines.push(`A: ${'b'.repeat(size - 5)}\r\n`);
      left -= size;
    }
    return `GET / HTTP/1.1\r\n${lines.join('')}\r\n`;
  };

  it('a field section of 32 KiB, its empty line counted, is read; one byte more is HEAD_TOO_LARGE', () => {
    expect(readRequest(sectionOf(HEAD_LIMITS.fieldsBytesMax)).fault).toBeNull();
    expect(readRequest(sectionOf(HEAD_LIMITS.fieldsBytesMax + 1)).fault).toBe('HEAD_TOO_LARGE');
  });

  it('a field that never ends is refused without waiting for its end', () => {
    expect(readRequest(`GET / HTTP/1.1\r\nA: ${'b'.repeat(HEAD_LIMITS.fieldsBytesMax)}`).fault).toBe(
      'HEAD_TOO_LARGE',
    );
    expect(readRequest(`GET / HTTP/1.1\r\n${'b'.repeat(HEAD_LIMITS.fieldsBytesMax + 1)}`).fault).toBe(
      'HEAD_TOO_LARGE',
    );
  });

  it('a bad byte behind the limit is refused like a field that is too long, in pieces as well as whole', () => {
    for (const bad of ['\0', '\n', '\rX\n', '\r\n']) {
      const long = `GET / HTTP/1.1\r\nA: ${'b'.repeat(HEAD_LIMITS.fieldsBytesMax)}${bad}\r\n\r\n`;
      expect(readRequest(long).fault).toBe('HEAD_TOO_LARGE');
    }
  });

  it('100 fields are read; 101 are HEAD_TOO_LARGE', () => {
    const fields = (count: number) => `GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(count)}\r\n`;
    expect(readRequest(fields(HEAD_LIMITS.fieldsMax)).facts?.fields).toHaveLength(HEAD_LIMITS.fieldsMax);
    expect(readRequest(fields(HEAD_LIMITS.fieldsMax + 1)).fault).toBe('HEAD_TOO_LARGE');
  });

  describe.each([
    [{ lineBytesMax: 1_048_576, fieldsBytesMax: 1_048_576, fieldsMax: 10_000 }],
    [{ lineBytesMax: 512, fieldsBytesMax: 1024, fieldsMax: 10 }],
  ])('with other limits than the default: %j', (limits) => {
    const read = (bytes: string, head: RequestHead | ResponseHead = new RequestHead()) => {
      head.limits = limits;
      head.reset();
      const end = head.parse(latin1(bytes), 0, bytes.length);
      return end < 0 ? head.fault : head.count;
    };
    const { lineBytesMax, fieldsBytesMax, fieldsMax } = limits;

    it('a head of exactly that size is read, one byte or one field more is refused', () => {
      expect(read(`${lineOf(lineBytesMax)}\r\n`)).toBe(0);
      expect(read(`${lineOf(lineBytesMax + 1)}\r\n`)).toBe('TARGET_TOO_LONG');
      const value = (byteCount: number) =>
        `GET / HTTP/1.1\r\nA: ${'b'.repeat(byteCount - 'A: \r\n\r\n'.length)}\r\n\r\n`;
      expect(read(value(fieldsBytesMax))).toBe(1);
      expect(read(value(fieldsBytesMax + 1))).toBe('HEAD_TOO_LARGE');
      const fields = (count: number) => `GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(count)}\r\n`;
      expect(read(fields(fieldsMax))).toBe(fieldsMax);
      expect(read(fields(fieldsMax + 1))).toBe('HEAD_TOO_LARGE');
    });

    it('and of a response', () => {
      const fields = (count: number) => `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(count)}\r\n`;
      expect(read(fields(fieldsMax), new ResponseHead())).toBe(fieldsMax);
      expect(read(fields(fieldsMax + 1), new ResponseHead())).toBe('UPSTREAM_HEAD_TOO_LARGE');
    });
  });

  it('thousands of fields are found where they are, and their room is given back', () => {
    const head = new RequestHead();
    head.limits = { lineBytesMax: 8192, fieldsBytesMax: 1_048_576, fieldsMax: 10_000 };
    head.reset();
    const names = Array.from({ length: 5000 }, (_, i) => `X-${i}`);
    const bytes = latin1(`GET / HTTP/1.1\r\n${names.map((name) => `${name}: ${name}\r\n`).join('')}\r\n`);
    expect(head.parse(bytes, 0, bytes.length)).toBe(bytes.length);
    expect(fieldsOf(head)).toEqual(names.map((name) => [name, name]));
    head.release();
    expect(head.at.byteLength).toBeLessThan(2000);
  });

  it('a head object that refused one message reads the next one after a reset', () => {
    const head = new RequestHead();
    const bad = latin1('GET / HTTP/1.1\r\nA : b\r\n\r\n');
    const good = latin1('GET /good HTTP/1.1\r\nHost: h\r\n\r\n');
    head.reset();
    expect(head.parse(bad, 0, bad.length)).toBe(REFUSED);
    head.reset();
    expect(head.parse(good, 0, good.length)).toBe(good.length);
    expect(requestFacts(head)).toMatchObject({ target: '/good', fields: [['Host', 'h']] });
  });
});
