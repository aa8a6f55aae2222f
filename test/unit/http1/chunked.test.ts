// The chunked decoder: which bytes are body, where the message ends, what breaks the grammar. Every case runs whole,
// byte by byte, at every cut in two, and with the next message behind it.
import { describe, expect, it } from 'vitest';
import { ChunkedDecoder, chunkHead, LAST_CHUNK } from '../../../src/http1/chunked.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

interface Outcome {
  body: string;
  trailers: [string, string][];
  /** Position behind the body; null while it is not complete, -1 when it is refused. */
  end: number | null;
}

/** Feeds the pieces that `stops` cut, each in memory of its own that is overwritten afterwards. */
function decode(
  decoder: ChunkedDecoder,
  received: Buffer,
  stops: number[],
  read: 'next' | 'nextJoined' = 'next',
): Outcome {
  decoder.reset();
  let body = '';
  let from = 0;
  for (const to of stops) {
    const lead = from % 5;
    const memory = Buffer.concat([
      Buffer.alloc(lead, '\n'),
      received.subarray(from, to),
      latin1('\r\n0\r\n'),
    ]);
    const end = lead + to - from;
    let position = lead;
    while (position < end && !decoder.isDone && !decoder.isRefused) {
      const behind = memory.toString('latin1', end);
      const next = decoder[read](memory, position, end);
      expect(memory.toString('latin1', end)).toBe(behind);
      expect(next).toBeGreaterThanOrEqual(position);
      expect(next).toBeLessThanOrEqual(end);
      body += memory.toString('latin1', decoder.dataStart, decoder.dataEnd);
      // Progress: a call that reads nothing and says nothing would spin for ever.
      expect(next > position || decoder.isDone || decoder.isRefused).toBe(true);
      position = next;
    }
    memory.fill(0xff);
    if (decoder.isRefused) return { body, trailers: [], end: -1 };
    if (decoder.isDone) {
      const { trailers } = decoder;
      const slice = (i: number) => trailers.bytes.toString('latin1', trailers.at[i]!, trailers.at[i + 1]!);
      return {
        body,
        trailers: Array.from({ length: trailers.count }, (_, i) => [slice(i * 4), slice(i * 4 + 2)]),
        end: from + position - lead,
      };
    }
    from = to;
  }
  return { body, trailers: [], end: null };
}

const decoder = new ChunkedDecoder(false);

function decodeEveryWay(text: string): Outcome {
  const received = latin1(text);
  const whole = decode(decoder, received, [received.length]);
  const singles = Array.from({ length: received.length }, (_, i) => i + 1);
  for (const read of ['next', 'nextJoined'] as const) {
    expect(decode(decoder, received, [received.length], read), `${read}: whole`).toEqual(whole);
    expect(decode(decoder, received, singles, read), `${read}: byte by byte`).toEqual(whole);
    for (let cut = 1; cut < received.length; cut++) {
      expect(decode(decoder, received, [cut, received.length], read), `${read}: cut at ${cut}`).toEqual(
        whole,
      );
    }
  }
  return whole;
}

describe('a chunked body is decoded', () => {
  const cases: [string, string, string, [string, string][]][] = [
    ['the empty body', '0\r\n\r\n', '', []],
    ['one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello', []],
    ['many chunks', '1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n', 'abcdef', []],
    [
      'sizes in hex of both cases',
      'a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n',
      '01234567890123456789a',
      [],
    ],
    ['leading zeros', '0005\r\nhello\r\n0000\r\n\r\n', 'hello', []],
    ['line ends and chunk lines as data', '9\r\n\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n0\r\n\r\n\r\n', []],
    ['any byte as data', '4\r\n\0\xff\n\r\r\n0\r\n\r\n', '\0\xff\n\r', []],
    ['a row of leading zeros', '0000000000000000000001\r\nx\r\n00000000000000000000\r\n\r\n', 'x', []],
    ['white space behind the size', '1   \r\nx\r\n0\t\r\n\r\n', 'x', []],
    ['white space in front of an extension', '1 ;a=b\r\nx\r\n0\t;a\r\n\r\n', 'x', []],
    [
      'white space around everything in an extension',
      '1 ; a = b ;\tc\t=\t"d" ; e \r\nx\r\n0 ; a \r\n\r\n',
      'x',
      [],
    ],
    ['an extension without a value', '1;a\r\nx\r\n0;b\r\n\r\n', 'x', []],
    ['extensions with values', '1;a=b;c=d;e\r\nx\r\n0\r\n\r\n', 'x', []],
    ['a quoted extension value', '1;a="b c;\\"\\\\=\t\xe9"\r\nx\r\n0\r\n\r\n', 'x', []],
    ['an empty quoted extension value', '1;a="";b\r\nx\r\n0\r\n\r\n', 'x', []],
    [
      'trailers',
      '1\r\nx\r\n0\r\nA: b\r\nC:  d \r\n\r\n',
      'x',
      [
        ['A', 'b'],
        ['C', 'd'],
      ],
    ],
    ['a trailer behind a last chunk with an extension', '0;a=b\r\nA: b\r\n\r\n', '', [['A', 'b']]],
  ];
  it.each(cases)('%s', (_, text, body, trailers) => {
    expect(decodeEveryWay(text)).toEqual({ body, trailers, end: text.length });
    for (const behind of ['x', '\r\n', 'GET / HTTP/1.1\r\n\r\n', '0\r\n\r\n']) {
      expect(decodeEveryWay(text + behind)).toEqual({ body, trailers, end: text.length });
    }
  });

  it.each(cases.map(([name, text]) => [name, text]))('%s, and no beginning of it is complete', (_, text) => {
    for (let to = 1; to < text!.length; to++) {
      expect(decode(decoder, latin1(text!), [to]).end).toBeNull();
    }
  });
});

describe('the trailers of a response', () => {
  it('are mended as its head is: white space in front of a colon, folded lines', () => {
    const response = new ChunkedDecoder(true);
    const text = '0\r\nA : b\r\nC: d\r\n e\r\n\r\n';
    const received = latin1(text);
    const trailers = [
      ['A', 'b'],
      ['C', 'd   e'],
    ];
    for (let cut = 1; cut <= received.length; cut++) {
      expect(decode(response, Buffer.from(received), [cut, received.length])).toEqual({
        body: '',
        trailers,
        end: text.length,
      });
    }
  });
});

describe('neighbouring chunks of one read', () => {
  it('are one run, in the place of the first, and nothing after what was read has changed', () => {
    const sizes = [1, 1, 31, 32, 33, 1, 4095, 20_000, 1, 2];
    const data = sizes.map((size, i) => String.fromCharCode(97 + i).repeat(size));
    const text = data.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');
    const memory = latin1(`${text}0\r\n\r\nGET / HTTP/1.1\r\n\r\n`);
    decoder.reset();
    expect(decoder.nextJoined(memory, 0, memory.length)).toBe(text.length + 5);
    expect(decoder.isDone).toBe(true);
    expect(memory.toString('latin1', decoder.dataStart, decoder.dataEnd)).toBe(data.join(''));
    expect(memory.toString('latin1', text.length)).toBe('0\r\n\r\nGET / HTTP/1.1\r\n\r\n');
  });

  it('are read as far as they are well formed', () => {
    for (const odd of ['g\r\nx', '1\rx', '1 x\r\n', '\r\n', '10000000000000\r\nx\r\n']) {
      const memory = latin1(`1\r\na\r\n2\r\nbc\r\n${odd}`);
      decoder.reset();
      decoder.nextJoined(memory, 0, memory.length);
      expect(decoder.isRefused, JSON.stringify(odd)).toBe(true);
      expect(memory.toString('latin1', decoder.dataStart, decoder.dataEnd)).toBe('abc');
    }
  });
});

describe('a chunked body is refused', () => {
  const cases: Record<string, string> = {
    'no size': '\r\nx\r\n0\r\n\r\n',
    'a size that is no hex': 'g\r\nx\r\n0\r\n\r\n',
    'a size with 0x': '0x1\r\nx\r\n0\r\n\r\n',
    'a size with a sign': '+1\r\nx\r\n0\r\n\r\n',
    'a negative size': '-1\r\nx\r\n0\r\n\r\n',
    'a size with an underscore': '1_0\r\nx\r\n0\r\n\r\n',
    'white space in front of the size': ' 1\r\nx\r\n0\r\n\r\n',
    'white space inside the size': '1 1\r\nx\r\n0\r\n\r\n',
    'a size of 14 digits': '10000000000000\r\nx\r\n0\r\n\r\n',
    'a vertical tab behind the size': '1\x0b\r\nx\r\n0\r\n\r\n',
    'a bare LF behind white space': '1 \nx\r\n0\r\n\r\n',
    'white space inside the name of an extension': '1;a b\r\nx\r\n0\r\n\r\n',
    'white space inside the value of an extension': '1;a=b c\r\nx\r\n0\r\n\r\n',
    'white space alone in place of an extension': '1; \r\nx\r\n0\r\n\r\n',
    'white space alone in place of a value': '1;a= \r\nx\r\n0\r\n\r\n',
    'a size that overflows 64 bits': '10000000000000001\r\nx\r\n0\r\n\r\n',
    'a bare LF behind the size': '1\nx\r\n0\r\n\r\n',
    'a bare CR behind the size': '1\rx\r\n0\r\n\r\n',
    'CR CR LF behind the size': '1\r\r\nx\r\n0\r\n\r\n',
    'a bare LF behind the data': '1\r\nx\n0\r\n\r\n',
    'a bare CR behind the data': '1\r\nx\r0\r\n\r\n',
    'data longer than its size': '1\r\nxy\r\n0\r\n\r\n',
    'data shorter than its size': '3\r\nx\r\n0\r\n\r\n',
    'no line end behind the data': '1\r\nx0\r\n\r\n',
    'another byte in place of the CR behind the data: TERM.EXT': '2\r\nxx45\r\n0\r\n\r\n',
    'an empty extension': '1;\r\nx\r\n0\r\n\r\n',
    'an empty extension between two': '1;a;;b\r\nx\r\n0\r\n\r\n',
    'an extension value without a name': '1;=b\r\nx\r\n0\r\n\r\n',
    'an empty extension value': '1;a=\r\nx\r\n0\r\n\r\n',
    'two values of one extension': '1;a=b=c\r\nx\r\n0\r\n\r\n',
    'a value behind a quoted value': '1;a="b"c\r\nx\r\n0\r\n\r\n',
    'a quote inside a value': '1;a=b"c"\r\nx\r\n0\r\n\r\n',
    'a quote in place of a name': '1;"a"\r\nx\r\n0\r\n\r\n',
    'a quoted value that never ends': '1;a="b\r\nx\r\n0\r\n\r\n',
    'a bare LF in an extension: the line ends there for some': '1;a\nx\r\n0\r\n\r\n',
    'a bare CR in an extension': '1;a\rb\r\nx\r\n0\r\n\r\n',
    'a bare LF in a quoted value': '1;a="\n"\r\nx\r\n0\r\n\r\n',
    'a NUL in an extension': '1;a\0\r\nx\r\n0\r\n\r\n',
    'a NUL behind a backslash': '1;a="\\\0"\r\nx\r\n0\r\n\r\n',
    'a byte above 0x7f in an extension': '1;\xe9\r\nx\r\n0\r\n\r\n',
    'a bare LF as last empty line': '0\r\n\n',
    'a bare CR in place of the last line end': '0\r\n\rX\r\n',
    'a fold in the trailers': '0\r\nA: b\r\n c\r\n\r\n',
    'a space in front of a colon in the trailers': '0\r\nA : b\r\n\r\n',
    'a line without a colon in the trailers': '0\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n',
    'a bare LF in the trailers': '0\r\nA: b\n\r\n',
    'a NUL in the trailers': '0\r\nA: \0\r\n\r\n',
    'Transfer-Encoding as a trailer: some readers merge it': '0\r\nA: b\r\nTransfer-Encoding: x\r\n\r\n',
    'Content-Length as a trailer': '0\r\ncontent-length: 5\r\n\r\n',
    'Connection as a trailer': '0\r\nConnection: close\r\n\r\n',
    'Upgrade as a trailer': '0\r\nUpgrade: h2c\r\n\r\n',
    'Host as a trailer': '0\r\nHost: evil\r\n\r\n',
    'over 100 trailers': `0\r\n${'A: b\r\n'.repeat(101)}\r\n`,
  };
  it.each(Object.entries(cases))('%s', (_, text) => {
    expect(decodeEveryWay(text).end).toBe(-1);
  });

  it('a size line of 1024 bytes is read; one byte more is refused, so that extensions cannot flood', () => {
    const line = (byteCount: number) => `1;${'a'.repeat(byteCount - 4)}\r\nx\r\n0\r\n\r\n`;
    expect(decodeEveryWay(line(1024)).end).toBe(line(1024).length);
    expect(decodeEveryWay(line(1025)).end).toBe(-1);
    expect(decode(decoder, latin1(`1;${'a'.repeat(2000)}`), [2002]).end).toBe(-1);
  });

  it('trailers over 32 KiB, ended or not', () => {
    const flood = latin1(`0\r\n${`A: ${'b'.repeat(995)}\r\n`.repeat(34)}`);
    expect(decode(decoder, flood, [flood.length]).end).toBe(-1);
    const pieces = Array.from({ length: Math.ceil(flood.length / 700) }, (_, i) =>
      Math.min(flood.length, (i + 1) * 700),
    );
    expect(decode(decoder, flood, pieces).end).toBe(-1);
    const endless = latin1(`0\r\nA: ${'b'.repeat(33_000)}`);
    expect(decode(decoder, endless, [endless.length]).end).toBe(-1);
    expect(decode(decoder, endless, [20_000, endless.length]).end).toBe(-1);
  });
});

describe('a decoder', () => {
  it('stops at the end of the body and reads nothing of the next message', () => {
    const bytes = latin1('1\r\nx\r\n0\r\n\r\n5\r\nother');
    decoder.reset();
    let position = 0;
    while (!decoder.isDone) position = decoder.next(bytes, position, bytes.length);
    expect(position).toBe(11);
    expect(decoder.next(bytes, position, bytes.length)).toBe(11);
    expect(decoder.dataEnd).toBe(decoder.dataStart);
  });

  it('hands out a chunk that has come in part, so that a large chunk is never collected', () => {
    const bytes = latin1('ffffffff\r\nabc');
    decoder.reset();
    expect(decoder.next(bytes, 0, bytes.length)).toBe(bytes.length);
    expect(bytes.toString('latin1', decoder.dataStart, decoder.dataEnd)).toBe('abc');
  });

  it('keeps trailers when the bytes that brought them are overwritten', () => {
    const bytes = latin1('0\r\nA: b\r\n\r\n');
    decoder.reset();
    decoder.next(bytes, 0, bytes.length);
    while (!decoder.isDone) throw new Error('not done');
    bytes.fill(0);
    expect(decoder.trailers.fieldValues('a').map(String)).toEqual(['b']);
  });

  it('forgets everything with a reset, also in the middle and after a refusal', () => {
    for (const before of ['5\r\nhe', '0\r\nA: b\r\nC', '1;a="', 'x', '0\r\nA: b\r\n\r\n']) {
      decoder.reset();
      const bytes = latin1(before);
      for (let position = 0; position < bytes.length && !decoder.isRefused; ) {
        position = decoder.next(bytes, position, bytes.length);
      }
      expect(decodeEveryWay('1\r\nx\r\n0\r\n\r\n')).toEqual({ body: 'x', trailers: [], end: 11 });
    }
  });
});

describe('the encoder', () => {
  it('writes what the decoder reads back', () => {
    for (const size of [1, 9, 10, 15, 16, 255, 65_536]) {
      const data = 'd'.repeat(size);
      const text = `${chunkHead(size)}${data}\r\n${LAST_CHUNK}`;
      const bytes = latin1(text);
      expect(decode(decoder, bytes, [bytes.length])).toEqual({ body: data, trailers: [], end: bytes.length });
    }
  });
});
