// A request without a key, before one is minted: the page that asked for it, named by its Referer, may have one.
import { describe, expect, it } from 'vitest';
import { LibraryView, type RequestLike } from '../../../src/split/request.ts';
import { Splitter } from '../../../src/split/splitter.ts';
import { configOf } from '../../support/splitter.ts';

const splitterOf = (key: unknown) => {
  const variants = [
    { name: 'a', share: '50%', upstream: 'http://a' },
    { name: 'b', share: '*', upstream: 'http://b' },
  ];
  const config = configOf({ splits: { s: { key, variants } } });
  return new Splitter('s', config.splits.get('s')!);
};
const MINTING = ['$arg_token', '$http_x_user', { mint: 'uid' }];
const asset = (referer: string, more: RequestLike['headers'] = {}): RequestLike => ({
  url: '/app.js?v=3',
  headers: { host: 'shop.example', referer, ...more },
});
const decide = (request: RequestLike, key: unknown = MINTING) =>
  splitterOf(key).decide(new LibraryView(request));
const page = (token: string) => decide({ url: `/?token=${token}`, headers: { host: 'shop.example' } });

describe('an asset of a page with a token', () => {
  it.each(['1', '2', 'user-42', 'a%20b'])(
    'goes to the variant of the page (%s), and gets no key of its own',
    (token) => {
      const found = decide(asset(`https://shop.example/start?x=1&token=${token}`));
      expect(found).toEqual(page(token));
      expect(found.extras).toBeNull();
    },
  );

  it.each([
    ['the host in capitals, with a port and a last dot', 'http://SHOP.example.:8443/?token=1'],
    ['a page whose path is empty', 'http://shop.example?token=1'],
    ['a fragment', 'http://shop.example/?token=1#token=2'],
  ])('is recognised by %s', (_, referer) => {
    expect(decide(asset(referer))).toEqual(page('1'));
  });

  it('is explained by its Referer', () => {
    const explained = splitterOf(MINTING).explain(new LibraryView(asset('http://shop.example/?token=1')));
    expect([explained.keySource, explained.key, explained.isMinted]).toEqual([
      '$arg_token in Referer',
      '1',
      false,
    ]);
  });

  it('has Referer among the fields on which its answer depends', () => {
    expect(splitterOf(MINTING).varyBy).toContain('Referer');
    expect(splitterOf(['$arg_token', '$http_x_user']).varyBy).not.toContain('Referer');
    expect(splitterOf(['$http_x_user', { mint: 'uid' }]).varyBy).not.toContain('Referer');
  });

  it('is remembered where the configuration remembers the token', () => {
    const key = [{ remember: '$arg_token', cookie: 'kept' }, { mint: 'uid' }];
    expect(decide(asset('http://shop.example/?token=1'), key).extras?.setCookie).toMatch(/^kept=1;/);
  });
});

describe('a key is minted all the same', () => {
  it.each([
    ['a page of another host', 'http://evil.example/?token=1'],
    ['a host that only begins alike', 'http://shop.example.evil.test/?token=1'],
    ['a name before an @', 'http://shop.example@evil.test/?token=1'],
    ['another scheme', 'ftp://shop.example/?token=1'],
    ['a page without a token', 'http://shop.example/?other=1'],
    ['an empty token', 'http://shop.example/?token='],
    ['an origin alone', 'http://shop.example/'],
    ['no URL', 'token=1'],
  ])('with %s in Referer', (_, referer) => {
    expect(decide(asset(referer)).extras?.mintedKey).toMatch(/^[\w-]{22}$/);
  });

  it('where the request itself has another key, that one counts', () => {
    const request = asset('http://shop.example/?token=1', { 'x-user': 'ada' });
    expect(decide(request).hash).toBe(decide({ url: '/', headers: { 'x-user': 'ada' } }).hash);
  });

  it('where nothing would be minted Referer is not read', () => {
    expect(decide(asset('http://shop.example/?token=1'), ['$arg_token', '$http_x_user']).reason).toBe(
      'missing_key',
    );
  });
});
