// Requests made of tokens and of log lines: each variable of a key reads the token from them.
import { describe, expect, it } from 'vitest';
import { linesOf, randomTokens, readLine, requestWith } from '../../../src/cli/tokens.ts';
import { CompiledKey, compileKey } from '../../../src/key/compile.ts';

const keyOf = (text: string, view: ReturnType<typeof requestWith>) => {
  const key = compileKey(text);
  if (!(key instanceof CompiledKey)) throw new Error(key.error);
  return Buffer.from(key.expand(view)).toString('latin1');
};

describe('a request with a token', () => {
  it.each([
    ['$arg_token', '42'],
    ['exp:${arg_token}', 'exp:42'],
    ['$http_x_user', '42'],
    ['$cookie_uid', '42'],
    ['$remote_addr', '42'],
    ['$host', '42'],
    ['$request_method', '42'],
    ['$args', '42'],
    ['$uri', '/42'],
    ['$request_uri', '/42'],
    ['${arg_user-id}', '42'],
    ['${http_x-user}', '42'],
    ['${cookie___Host-sid}', '42'],
    ['$query_string', '42'],
    ['$document_uri', '/42'],
    ['$arg_a-$arg_b-$cookie_c-$cookie_d', '42-42-42-42'],
  ])('gives it to the key %s', (text, key) => {
    expect(keyOf(text, requestWith('42', [text]))).toBe(key);
  });
});

describe('a line', () => {
  it.each([
    [
      'a combined log line',
      '1.2.3.4 - - [1/Nov/2026:00:00:00 +0000] "GET /x?token=42&a=b HTTP/1.1" 200 5 "-" "curl"',
      '42',
    ],
    ['a target', ' /x?token=43 ', '43'],
    ['a token', '44', '44'],
    ['a token with raw bytes over 0x7f', '\xc3\xa9', '\xc3\xa9'],
    ['a target without a token', '/x', ''],
  ])('that is %s is that request', (_what, line, key) => {
    const read = readLine(line, ['$arg_token']);
    if (typeof read === 'string') throw new Error(read);
    expect(keyOf('$arg_token', 'view' in read ? read.view : read)).toBe(key);
  });

  it('that is empty is no request', () => {
    expect(readLine('  ', ['$arg_token'])).toBe('empty');
  });

  it.each(['two words', '"GET"', 'a\x01b', '/x y', '1.2.3.4 - - [x] "\\x16\\x03" 400 0'])(
    'that is none of these is unreadable: %j',
    (line) => expect(readLine(line, ['$arg_token'])).toBe('unreadable'),
  );
});

it('random tokens are the same for the same seed, and others for another one', () => {
  expect([...randomTokens(3, 1)]).toEqual([...randomTokens(3, 1)]);
  expect([...randomTokens(3, 2)]).not.toEqual([...randomTokens(3, 1)]);
  const many = [...randomTokens(20_000, 7)];
  expect(new Set(many).size).toBe(many.length);
  expect(many[0]).toMatch(/^[0-9a-f]{16}$/);
});

it('lines come whole however a stream cuts them, and one without end in pieces', async () => {
  async function* pieces(...texts: string[]) {
    for (const text of texts) yield Buffer.from(text);
  }
  const gather = async (...texts: string[]) => {
    const lines: string[] = [];
    for await (const line of linesOf(pieces(...texts))) lines.push(line);
    return lines;
  };
  expect(await gather('a', 'b\r', '\nc\n\nd')).toEqual(['ab', 'c', '', 'd']);
  expect((await gather('x'.repeat(70_000), 'y\n')).map((line) => line.length)).toEqual([70_000, 1]);
});
