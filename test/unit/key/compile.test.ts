// Key texts: how they are written, what each variable reads of a request, and what a mistake is answered with.
import { describe, expect, it } from 'vitest';
import { type CompiledKey, compileKey } from '../../../src/key/compile.ts';
import { LibraryView, type RequestLike } from '../../../src/split/request.ts';

function keyOf(text: string, request: RequestLike): string {
  const key = compileKey(text);
  if ('error' in key) throw new Error(key.error);
  return Buffer.from(key.expand(new LibraryView(request))).toString('latin1');
}

function isMissing(text: string, request: RequestLike): boolean {
  const key = compileKey(text) as CompiledKey;
  return key.isMissing(key.expand(new LibraryView(request)));
}

describe('the text', () => {
  it.each([
    ['$arg_token', 'abc'],
    ['${arg_token}', 'abc'],
    ['exp42:${arg_token}', 'exp42:abc'],
    ['${arg_token}x', 'abcx'],
    ['$arg_token-x', 'abc-x'],
    ['$arg_token$arg_b', 'abcB'],
    ['$arg_token:$remote_addr', 'abc:10.0.0.1'],
    ['$ARG_Token', 'abc'],
    ['{$arg_token}', '{abc}'],
    ['é$arg_token', '\xc3\xa9abc'],
    ['nothing to read', 'nothing to read'],
    ['${arg_user-id}', 'hyphen'],
    ['${arg_user.name}x', 'dotx'],
    ['$arg_token-id', 'abc-id'],
    ['${http_x-user}', 'ada'],
    ['${cookie_session-id}', 's1'],
    ['${cookie___Host-sid}', 'h1'],
    ['$query_string', 'token=abc&b=B&user-id=hyphen&user.name=dot'],
    ['$document_uri', '/'],
  ])('%s is read as %s', (text, key) => {
    const url = '/?token=abc&b=B&user-id=hyphen&user.name=dot';
    const headers = { 'x-user': 'ada', cookie: 'session-id=s1; __Host-sid=h1' };
    expect(keyOf(text, { url, headers, remoteAddress: '10.0.0.1' })).toBe(key);
  });

  it.each([
    ['$', 0, 'got "$"'],
    ['a$', 1, 'got "$"'],
    ['$-x', 0, 'got "$"'],
    ['${}', 0, 'got "${"'],
    ['a${arg_token', 1, 'expected "}" after "${arg_token", got the end of the text'],
    ['${arg_token x}', 0, 'expected "}" after "${arg_token", got " x}"'],
    ['${remote-addr}', 0, '(did you mean "$remote_addr"?)'],
    ['$1', 0, 'got "$1"'],
    ['salt:$arg_a:$argtoken', 12, '(did you mean "$arg_token"?), got "$argtoken"'],
    ['$arg', 0, '(did you mean "$arg_token"?), got "$arg"'],
    ['$arg_', 0, '(did you mean "$arg_token"?), got "$arg_"'],
    ['${arg-token}', 0, '(did you mean "$arg_token"?), got "${arg-token}"'],
    ['${cookie-session-id}', 0, '(did you mean "${cookie_session-id}"?)'],
    ['$args_token', 0, '(did you mean "$arg_token"?)'],
    ['$header_x_user', 0, '(did you mean "$http_x_user"?)'],
    ['$cooky_uid', 0, '(did you mean "$cookie_uid"?)'],
    ['$remote_adress', 0, '(did you mean "$remote_addr"?)'],
    ['$request_url', 0, '(did you mean "$request_uri"?)'],
    ['${hst}', 0, '(did you mean "$host"?), got "${hst}"'],
  ])('%s is a mistake at %i', (text, offset, message) => {
    const fault = compileKey(text);
    expect(fault).toMatchObject({ offset });
    expect((fault as { error: string }).error).toMatch(/^expected .*, got /);
    expect((fault as { error: string }).error).toContain(message);
  });

  it.each([
    ['$otel_trace_id', 'use $request_id'],
    ['$request_body', 'before the body is read'],
    ['$nginx_version', 'the same for most requests'],
    ['$ssl_client_i_dn', 'use $http_NAME'],
    ['$upstream_addr', 'only after the upstream has answered'],
  ])('%s, which nginx has, gets a remedy and no guess', (text, remedy) => {
    const { error } = compileKey(text) as { error: string };
    expect(error).toContain(`nginx has ${text} but it cannot be used here: `);
    expect(error).toContain(remedy);
    expect(error).not.toContain('did you mean');
  });

  it('a mistake without a near name gets no guess', () => {
    expect((compileKey('$xyzzy_plugh') as { error: string }).error).not.toContain('did you mean');
  });
});

describe('$arg_token', () => {
  it.each([
    ['a single argument', '/?token=abc', 'abc'],
    ['an argument among others', '/a/b?x=1&token=abc&y=2', 'abc'],
    ['the first of repeated ones', '/?token=first&token=second', 'first'],
    ['a first one without "=" is passed over', '/?token&token=abc', 'abc'],
    ['a name in any case', '/?ToKeN=abc', 'abc'],
    ['the value as it is, not decoded', '/?token=a%62c', 'a%62c'],
    ['a plus sign as it is', '/?token=a+b', 'a+b'],
    ['a semicolon is part of the value', '/?token=a;b', 'a;b'],
    ['a semicolon does not start an argument', '/?x=1;token=abc', ''],
    ['a further "=" is part of the value', '/?token=a=b', 'a=b'],
    ['a further "?" is part of the value', '/?token=a?b', 'a?b'],
    ['only the first "?" starts the query', '/?x=?token=abc', ''],
    ['a longer name is another name', '/?xtoken=1&tokenx=2', ''],
    ['a longer name in front of the right one', '/?tokentoken=1&token=abc', 'abc'],
    ['empty arguments between', '/?&&token=abc&&', 'abc'],
    ['an encoded name is another name', '/?t%6fken=abc', ''],
    ['the value ends at a fragment', '/?token=abc#token=x', 'abc'],
    ['a fragment in front of the query hides it', '/#?token=abc', ''],
    ['a fragment in front of the argument hides it', '/?x#&token=abc', ''],
    ['a fragment right behind the question mark', '/?#token=abc', ''],
    ['a fragment right behind the name', '/?token#=abc', ''],
    ['raw bytes over 0x7f', '/?token=\xe9\xff', '\xe9\xff'],
    ['no query', '/token=abc', ''],
    ['an empty query', '/?', ''],
    ['a name alone', '/?token', ''],
    ['a name with an empty value', '/?token=', ''],
    ['an empty value in front of a full one', '/?token=&token=abc', ''],
    ['the path is not searched', '/a&token=abc', ''],
    ['the target of OPTIONS *', '*', ''],
    ['an absolute-form', 'http://shop.example:80/x?token=abc', 'abc'],
    ['an absolute-form without a path', 'http://shop.example?token=abc', 'abc'],
  ])('%s', (_, url, key) => {
    expect(keyOf('$arg_token', { url })).toBe(key);
  });

  it('takes values that are longer than any buffer of the module', () => {
    const long = 'x'.repeat(5000);
    expect(keyOf('a:$arg_token:$arg_token', { url: `/?token=${long}` })).toBe(`a:${long}:${long}`);
    expect(keyOf('$arg_token', { url: '/?token=short' })).toBe('short');
  });

  it('"_" in the name is no letter in another case', () => {
    expect(keyOf('$arg_a_b', { url: '/?a\x7fb=1&a_b=2' })).toBe('2');
  });
});

describe('$http_x_user', () => {
  it.each([
    ['a field in any case', { 'X-User': 'abc' }, 'abc'],
    ['repeated fields, joined as nginx does since 1.23', { 'x-user': ['a', 'b', 'c'] }, 'a, b, c'],
    ['empty values are joined too', { 'x-user': ['', ''] }, ', '],
    ['an empty field', { 'x-user': '' }, ''],
    ['no such field', { 'x-users': 'abc' }, ''],
    ['a name with an underscore is another field, as nginx drops it', { x_user: 'abc' }, ''],
    ['raw bytes over 0x7f', { 'x-user': '\xe9' }, '\xe9'],
  ])('%s', (_, headers, key) => {
    expect(keyOf('$http_x_user', { headers })).toBe(key);
  });

  it('rawHeaders, where every repeated field stands, are preferred to headers', () => {
    const rawHeaders = ['X-User', 'a', 'Host', 'h', 'x-user', 'b'];
    expect(keyOf('$http_x_user', { rawHeaders, headers: { 'x-user': 'a' } })).toBe('a, b');
  });

  it('repeated Cookie fields are joined with "; "', () => {
    expect(keyOf('$http_cookie', { headers: { cookie: ['a=1', 'b=2'] } })).toBe('a=1; b=2');
  });
});

describe('$cookie_uid', () => {
  it.each([
    ['a single cookie', ['uid=7'], '7'],
    ['a cookie among others', ['a=1; uid=7; b=2'], '7'],
    ['no space behind the semicolon', ['a=1;uid=7;b=2'], '7'],
    ['a name in any case', ['a=1; UID=7'], '7'],
    ['the first of repeated ones', ['uid=7; uid=8'], '7'],
    ['the first over several fields', ['a=1', 'uid=7', 'uid=8'], '7'],
    ['a longer name is another cookie', ['uidx=1; xuid=2'], ''],
    ['a longer name in front of the right one', ['uidx=1; uid=7'], '7'],
    ['spaces around the name', ['a=1;  uid = 7'], '7'],
    ['spaces behind the value belong to it', ['uid=7 ; b=2'], '7 '],
    ['a comma does not separate, as in nginx since 1.23', ['a=1, uid=7'], ''],
    ['a comma is part of the value', ['uid=7,8'], '7,8'],
    ['a further "=" is part of the value', ['uid=a=b'], 'a=b'],
    ['quotes are part of the value', ['uid="7"'], '"7"'],
    ['a name without "=" takes the cookie behind it along, as in nginx', ['uid; uid=7; uid=8'], '8'],
    ['a name without "=" at the end', ['a=1; uid'], ''],
    ['an empty value', ['uid=; uid=7'], ''],
    ['an empty field', [''], ''],
    ['separators alone', [';;; ;'], ''],
    ['separators in front', [';;; ;uid=7'], '7'],
    ['a field shorter than the name', ['u'], ''],
    ['no cookies', [], ''],
  ])('%s', (_, cookie, key) => {
    expect(keyOf('$cookie_uid', { headers: { cookie } })).toBe(key);
  });
});

describe('$host', () => {
  it.each([
    ['Shop.Example', '/', 'shop.example'],
    ['shop.example:8080', '/', 'shop.example'],
    ['shop.example.', '/', 'shop.example'],
    ['[::1]:8080', '/', '[::1]'],
    ['other.example', 'http://Shop.Example:80/x', 'shop.example'],
    ['', '/', ''],
  ])('Host %j with target %s is %j', (host, url, key) => {
    expect(keyOf('$host', { url, headers: { host } })).toBe(key);
  });

  it('is empty without a Host field', () => {
    expect(keyOf('$host', { url: '/' })).toBe('');
  });
});

describe('$uri, normalised as nginx does it', () => {
  it.each([
    ['/', '/'],
    ['/a/b.c?x=1', '/a/b.c'],
    ['/a%62c', '/abc'],
    ['/a%2Fb', '/a/b'],
    ['/a%2fb', '/a/b'],
    ['//a///b//', '/a/b/'],
    ['/a%2F/b', '/a/b'],
    ['/./a/./b/.', '/a/b/'],
    ['/a/../b', '/b'],
    ['/a/b/..', '/a/'],
    ['/a/b/../', '/a/'],
    ['/a/b/../../c', '/c'],
    ['/a//../b', '/b'],
    ['/a/%2e%2E/b', '/b'],
    ['/a/.b/..c/...', '/a/.b/..c/...'],
    ['/a/..b', '/a/..b'],
    ['/%3Fx', '/?x'],
    ['/%23x', '/#x'],
    ['/%2541', '/%41'],
    ['/a#b', '/a'],
    ['/a/..#b', '/'],
    ['/a/..?b', '/'],
    ['/a+b', '/a+b'],
    ['/\xe9', '/\xe9'],
    ['/%e9', '/\xe9'],
    ['*', '*'],
  ])('%s is %s', (url, key) => {
    expect(keyOf('$uri', { url })).toBe(key);
    expect(keyOf('a/$uri', { url })).toBe(`a/${key}`);
  });

  it.each(['/..', '/a/../..', '/../a', '/%', '/%4', '/%zz', '/a%00b', '/%2e%2e/'])(
    '%s, which nginx refuses, stays as it is',
    (url) => expect(keyOf('$uri', { url })).toBe(url),
  );

  it('takes paths that are longer than any buffer of the module', () => {
    expect(keyOf('$uri$uri', { url: `/${'%61'.repeat(3000)}` })).toBe(`/${'a'.repeat(3000)}`.repeat(2));
  });
});

describe('the other variables', () => {
  it.each([
    ['$request_uri', '/a%20b/../c?x=1#y', '/a%20b/../c?x=1#y'],
    ['$request_uri', 'http://shop.example/a?x=1', '/a?x=1'],
    ['$args', '/a?x=1&y=?#z', 'x=1&y=?'],
    ['$args', '/a', ''],
    ['$args', '/a#?x=1', ''],
    ['$args', '/a?', ''],
    ['$request_method', '/', 'PURGE'],
    ['$remote_addr', '/', '10.0.0.1'],
  ])('%s of %s is %s', (text, url, key) => {
    expect(keyOf(text, { method: 'PURGE', url, remoteAddress: '10.0.0.1' })).toBe(key);
  });

  it.each([
    [{ remoteAddress: '2001:db8::1' }, '2001:db8::1'],
    [{ remoteAddress: '::ffff:10.0.0.1' }, '10.0.0.1'],
    [{ socket: { remoteAddress: '10.0.0.2' } }, '10.0.0.2'],
    [{ socket: {} }, 'unix:'],
    [{ socket: { destroyed: true } }, ''],
    [{}, ''],
  ])('$remote_addr of %j is %j', (request, key) => {
    expect(keyOf('$remote_addr', request)).toBe(key);
  });
});

describe('a missing key', () => {
  it.each([
    ['$arg_token', '/', true],
    ['$arg_token', '/?token=', true],
    ['$arg_token', '/?token=0', false],
    ['salt:$arg_token', '/', true],
    ['salt:$arg_token', '/?token=0', false],
    ['$arg_a$arg_b', '/?a=&b=', true],
    ['$arg_a$arg_b', '/?b=1', false],
    ['no variable', '/', false],
    ['$request_method', '/', false],
  ])('%s for %s: %s', (text, url, missing) => {
    expect(isMissing(text, { url })).toBe(missing);
  });
});

it('a string with characters above U+00FF is taken as UTF-8', () => {
  expect(keyOf('$arg_token', { url: '/?token=\u0142' })).toBe('\xc5\x82');
});
