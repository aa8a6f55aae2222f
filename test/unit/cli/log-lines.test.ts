// Lines of access logs: what each format holds, escapes, and what is no request.
import { describe, expect, it } from 'vitest';
import { notHeld, readLogLine } from '../../../src/cli/log-lines.ts';
import { CompiledKey, compileKey } from '../../../src/key/compile.ts';

const COMBINED =
  '203.0.113.9 - ada [26/Nov/2026:10:00:00 +0000] "GET /x?token=42&a=b HTTP/1.1" 200 512 "https://shop.example/" "curl/8.5"';

const keyOf = (text: string, line: string) => {
  const key = compileKey(text);
  if (!(key instanceof CompiledKey)) throw new Error(key.error);
  const request = readLogLine(line)!;
  return [notHeld(text, request), Buffer.from(key.expand(request.view)).toString('latin1')];
};

describe('a line', () => {
  it.each([
    ['$arg_token', '42'],
    ['$remote_addr', '203.0.113.9'],
    ['$http_referer', 'https://shop.example/'],
    ['$http_user_agent', 'curl/8.5'],
    ['$request_method', 'GET'],
    ['$request_uri', '/x?token=42&a=b'],
    ['$uri', '/x'],
    ['$args', 'token=42&a=b'],
    ['$remote_addr$http_user_agent', '203.0.113.9curl/8.5'],
  ])('of the combined format holds %s', (text, key) => {
    expect(keyOf(text, COMBINED)).toEqual([[], key]);
  });

  it.each(['$cookie_uid', '$http_x_user', '$host', '${http_x-user}'])(
    'of the combined format does not hold %s',
    (text) => expect(keyOf(text, COMBINED)).toEqual([[text], '']),
  );

  it.each([
    ['the common format', '10.0.0.1 - - [1/Nov/2026] "POST /?token=c HTTP/1.0" 200 5', '$arg_token', 'c'],
    ['IPv6', '2001:db8::1 - - [x] "GET / HTTP/2.0" 200 5 "-" "a"', '$remote_addr', '2001:db8::1'],
    ['a user with spaces', '10.0.0.1 - Ada L [x] "GET /?token=u HTTP/1.1" 200 5', '$arg_token', 'u'],
    ['a virtual host', 'shop.example:443 10.0.0.1 - - [x] "GET / HTTP/1.1" 200 5', '$host', 'shop.example'],
    [
      'a virtual host and address',
      'shop.example 10.0.0.1 - - [x] "GET / HTTP/1.1" 200 5',
      '$remote_addr',
      '10.0.0.1',
    ],
    [
      'X-Forwarded-For at its end',
      `${COMBINED} "198.51.100.1, 10.0.0.1"`,
      '$http_x_forwarded_for',
      '198.51.100.1, 10.0.0.1',
    ],
    ['a field that is absent', '10.0.0.1 - - [x] "GET / HTTP/1.1" 200 5 "-" "-"', '$http_user_agent', ''],
    [
      'a quote in the agent',
      '10.0.0.1 - - [x] "GET / HTTP/1.1" 200 5 "-" "a \\x22b\\x22 \\\\c"',
      '$http_user_agent',
      'a "b" \\c',
    ],
    ['a quote in the target', '10.0.0.1 - - [x] "GET /?token=a\\x22b HTTP/1.1" 200 5', '$arg_token', 'a"b'],
    [
      'raw bytes as escapes',
      '10.0.0.1 - - [x] "GET /?token=\\xC3\\xA9 HTTP/1.1" 200 5',
      '$arg_token',
      '\xc3\xa9',
    ],
    ['another format', 'req="GET /?token=o HTTP/1.1" took=3ms', '$arg_token', 'o'],
    ['JSON', '{"request":"GET /?token=j HTTP/1.1","status":200}', '$arg_token', 'j'],
  ])('with %s is read', (_what, line, text, key) => {
    expect(keyOf(text, line)).toEqual([[], key]);
  });

  it.each([
    '10.0.0.1 - - [x] "\\x16\\x03\\x01\\x00" 400 150 "-" "-"',
    '10.0.0.1 - - [x] "-" 408 0 "-" "-"',
    '10.0.0.1 - - [x] "" 400 0 "-" "-"',
    '10.0.0.1 - - [x] "CONNECT a.example:443 HTTP/1.1" 405 0 "-" "-"',
    '10.0.0.1 - - [x] "GET /" 400 0 "-" "-"',
    '10.0.0.1 - - [x] "GET /a b HTTP/1.1" 400 0 "-" "-"',
    '2026/11/26 10:00:00 [error] 1#1: *7 connect() failed',
    'some words',
    '"',
  ])('that holds no request is none: %s', (line) => expect(readLogLine(line)).toBeNull());
});
