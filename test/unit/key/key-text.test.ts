// How a key text is taken apart: its variables, where each of them ends, and which of them end too early.
import { describe, expect, it } from 'vitest';
import { canonicalName, cutVariables, variablesOf, writeVariable } from '../../../src/key/key-text.ts';

describe('the variables of a key text', () => {
  it.each([
    ['', []],
    ['salt', []],
    ['$arg_token', ['arg_token']],
    ['exp42:${cookie_uid}$ARG_B', ['cookie_uid', 'arg_b']],
    ['$arg_user-id', ['arg_user']],
    ['${arg_user-id}', ['arg_user-id']],
    ['${http_x-user}$http_x_user', ['http_x_user', 'http_x_user']],
    ['$query_string$document_uri', ['args', 'uri']],
  ])('of %j are %j', (text, names) => {
    expect(variablesOf(text).map(({ name }) => name)).toEqual(names);
  });

  it('are told with their place', () => {
    expect(variablesOf('a:${arg_b}c')).toEqual([{ name: 'arg_b', written: '${arg_b}', start: 2, end: 10 }]);
  });

  it('are written in braces only where their name needs them', () => {
    expect([writeVariable('cookie_uid'), writeVariable('cookie___Host-uid')]).toEqual([
      '$cookie_uid',
      '${cookie___Host-uid}',
    ]);
    expect(canonicalName('HTTP_X-User')).toBe('http_x_user');
  });
});

describe('a variable that ends before the name that was meant', () => {
  it.each([
    ['$arg_user-id', '${arg_user-id}', '${arg_user}-id'],
    ['x:$cookie_session-id:y', '${cookie_session-id}', '${cookie_session}-id'],
    ['$http_x-user-id', '$http_x_user_id', '${http_x}-user-id'],
    ['$arg_user.name', '${arg_user.name}', '${arg_user}.name'],
  ])('of %s is read whole as %s', (text, whole, kept) => {
    expect(cutVariables(text)).toMatchObject([{ whole, kept }]);
  });

  it.each([
    '$arg_a-$arg_b',
    '${arg_user}-id',
    '${arg_user-id}',
    '$remote_addr-exp42',
    '$arg_a:exp',
    '$arg_a-',
  ])('is not in %s', (text) => expect(cutVariables(text)).toEqual([]));
});
