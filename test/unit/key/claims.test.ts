// Claims of tokens and segments of paths as keys: what they are in a request, and that anything else is a missing key.
import { describe, expect, it } from 'vitest';
import { type CompiledKey, compileKey } from '../../../src/key/compile.ts';
import { OwnVariables } from '../../../src/key/own-variables.ts';
import { LibraryView, type RequestLike } from '../../../src/split/request.ts';

const encoded = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const tokenOf = (claims: unknown, head: unknown = { alg: 'none' }, signature = 'c2ln') =>
  `${encoded(head)}.${encoded(claims)}.${signature}`;

function keyOf(text: string, request: RequestLike, cookie?: string): string {
  const key = compileKey(text, new OwnVariables(cookie).scope('request')) as CompiledKey;
  return Buffer.from(key.expand(new LibraryView(request))).toString();
}

const bearer = (token: string): RequestLike => ({ headers: { authorization: `Bearer ${token}` } });

describe('a claim', () => {
  it.each([
    ['$jwt_sub', { sub: 'ada' }, 'ada'],
    ['$jwt_claim_sub', { sub: 'ada' }, 'ada'],
    ['$jwt_claim_tenant', { tenant: 42 }, '42'],
    ['$jwt_claim_beta', { beta: true }, 'true'],
    ['${jwt_claim_user-id}', { 'user-id': 'x' }, 'x'],
    ['$jwt_claim_userId', { userId: 'x' }, 'x'],
    ['$jwt_claim_userId', { userId: 'x', userid: 'y' }, ''],
    ['$jwt_sub', { sub: 'é' }, 'é'],
    ['$jwt_sub', { sub: ['a'] }, ''],
    ['$jwt_sub', { sub: null }, ''],
    ['$jwt_sub', {}, ''],
    ['$jwt_claim_constructor', {}, ''],
    ['$jwt_sub', [], ''],
    ['$jwt_sub', 'no JSON', ''],
  ])('%s of %j is %j', (text, claims, key) => {
    expect(keyOf(text, bearer(tokenOf(claims)))).toBe(key);
  });

  it('of a token that is issued again stays the same, whatever else changes', () => {
    const first = keyOf('$jwt_sub', bearer(tokenOf({ sub: 'ada', iat: 1 }, { kid: 'a' }, 'b25l')));
    expect(keyOf('$jwt_sub', bearer(tokenOf({ iat: 2, sub: 'ada' }, { kid: 'b' }, 'dHdv')))).toBe(first);
  });

  it.each([
    ['padding', `e30.${Buffer.from('{"sub":"ada"}').toString('base64')}=.x`],
    ['bits after the last byte', 'e30.eyJzdWIiOiJhIn1.x'.replace('In1', 'In2')],
    ['two parts', 'e30.e30'],
    ['four parts', `${tokenOf({ sub: 'a' })}.x`],
    ['bytes that are no UTF-8', `e30.${Buffer.from('{"sub":"\xff"}', 'latin1').toString('base64url')}.x`],
    ['more than 16 KiB', tokenOf({ sub: 'a', more: 'x'.repeat(20_000) })],
    ['a million brackets', `e30.${encoded('['.repeat(10_000))}.x`],
  ])('is missing in a token with %s', (_what, token) => {
    expect(keyOf('$jwt_sub', bearer(token))).toBe('');
  });

  it('is read from the cookie that is named, where there is no bearer token', () => {
    const cookie = `session=${tokenOf({ sub: 'bob' })}`;
    expect(keyOf('$jwt_sub', { headers: { cookie } }, 'session')).toBe('bob');
    expect(keyOf('$jwt_sub', { headers: { cookie } })).toBe('');
    const both = { headers: { cookie, authorization: `bearer ${tokenOf({ sub: 'ada' })}` } };
    expect(keyOf('$jwt_sub', both, 'session')).toBe('ada');
    expect(keyOf('$jwt_sub', { headers: { cookie, authorization: 'Basic eA==' } }, 'session')).toBe('bob');
  });
});

describe('a segment of the path', () => {
  it.each([
    ['$path_1', '/users/42/orders', 'users'],
    ['$path_2', '/users/42/orders', '42'],
    ['$path_3', '/users/42/orders?x=/y', 'orders'],
    ['$path_4', '/users/42/orders/', ''],
    ['$path_2', '/users//42', '42'],
    ['$path_2', '/a/../users/./4%32', '42'],
    ['$path_1', '/', ''],
    ['$path_1', '/%zz', ''],
    ['tenant:$path_1', '/a%2Fb/c', 'tenant:a'],
    ['$path_12', '/1/2/3/4/5/6/7/8/9/10/11/12', '12'],
  ])('%s of %s is %j', (text, url, key) => {
    expect(keyOf(text, { url })).toBe(key);
  });

  it('has a number from 1 to 99', () => {
    for (const text of ['$path_0', '$path_100', '$path_x']) expect(compileKey(text)).toHaveProperty('error');
  });
});
