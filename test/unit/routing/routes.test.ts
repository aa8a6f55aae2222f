// Which route takes a request, by address, host and path, whatever way the path is spelled.
import { beforeAll, describe, expect, it } from 'vitest';
import { addressId } from '../../../src/config/listen-address.ts';
import { RequestFraming } from '../../../src/http1/framing.ts';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { loadPatternEngine } from '../../../src/key/pattern.ts';
import { compileMatches, compileRoutes } from '../../../src/routing/routes.ts';
import { configOf } from '../../support/splitter.ts';

const ADDRESSES = ['127.0.0.1:8000', 'unix:/run/a.sock'];

/** Routes as a file has them; each leads to its number in the list. */
function routesOf(...routes: object[]) {
  const config = configOf({
    listen: ADDRESSES,
    routes: routes.map((route) => ({ upstream: 'http://a', ...route })),
  });
  const routeOf = compileRoutes(
    config,
    routes.map((_, index) => index),
    compileMatches(config),
  );
  return (target: string, host = 'a.example', listen?: number) => {
    const head = new RequestHead();
    head.reset();
    const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'latin1');
    expect(head.parse(bytes, 0, bytes.length)).toBe(bytes.length);
    expect(new RequestFraming().read(head)).toBeNull();
    return listen === undefined ? routeOf(head) : routeOf(head, addressId(config.listen[listen]!));
  };
}

describe('paths', () => {
  const to = routesOf(
    {},
    { path: '/api/' },
    { path: '/api/new' },
    { path: '/api/new', exact: true },
    { path: '/a b/é', exact: true },
    { path: '/', exact: true },
  );

  it.each([
    ['/other', 0],
    ['/api', 0],
    ['/api/', 1],
    ['/api/x?y=/api/new', 1],
    ['/other?/api/', 0],
    ['/api/new/', 2],
    ['/api/newer?x', 2],
    ['/api/new', 3],
    ['/api/new?x=1', 3],
    ['/', 5],
    ['/?token=1', 5],
    ['http://b.example/api/new', 3],
  ])('%s: an exact path before the longest prefix', (target, route) => {
    expect(to(target)).toBe(route);
  });

  it.each([
    ['/%61pi/', 1],
    ['/api%2fnew', 3],
    ['/api//new', 3],
    ['/./api/./new', 3],
    ['/other/../api/new', 3],
    ['/api/../admin', 0],
    ['/api/%2e%2e/admin', 0],
    ['/api/new/..', 1],
    ['/api/new/.', 2],
    ['/api/.hidden', 1],
    ['/a%20b/%C3%A9', 4],
    ['//', 5],
    ['/%3F', 0],
    ['/api/new%3Fx', 2],
  ])(
    '%s is compared decoded, with dots resolved and slashes merged: no spelling leads past a route',
    (target, route) => {
      expect(to(target)).toBe(route);
    },
  );

  it.each(['/%', '/api/%zz', '/%00', '/..', '/api/../../x'])(
    '%s, which nginx refuses, is a bad target where routes have paths',
    (target) => {
      expect(to(target)).toBe('BAD_TARGET');
      expect(routesOf({})(target)).toBe(0);
      expect(routesOf({ host: 'a.example' })(target)).toBe(0);
    },
  );

  it('no route for a path is no route at all', () => {
    expect(routesOf({ path: '/api/' })('/x')).toBe('NO_ROUTE');
    expect(routesOf({ path: '/', exact: true })('/x')).toBe('NO_ROUTE');
  });
});

it('an exact host stands before a wildcard, a long wildcard before a short one, any host last', () => {
  const to = routesOf({}, { host: '*.example' }, { host: '*.a.example' }, { host: 'x.a.example' });
  expect(['x.a.example', 'Y.A.example:80', 'a.example', 'example', 'b'].map((host) => to('/', host))).toEqual(
    [3, 2, 1, 0, 0],
  );
});

it('a route with an address takes what comes in there alone, before those without', () => {
  const to = routesOf({ host: 'a.example' }, { listen: ADDRESSES[1] }, { listen: ADDRESSES[1], host: 'b' });
  expect(to('/', 'a.example', 0)).toBe(0);
  expect(to('/', 'a.example', 1)).toBe(1);
  expect(to('/', 'b', 1)).toBe(2);
  expect(to('/', 'b', 0)).toBe('NO_ROUTE');
  // Who only asks for an explanation came in by the first address.
  expect(to('/', 'b')).toBe('NO_ROUTE');
});

describe('patterns and conditions', () => {
  beforeAll(loadPatternEngine);

  it('patterns come in their order, after exact paths and before prefixes', () => {
    const to = routesOf(
      { path: '/a.png', exact: true },
      { path: '/img/' },
      { path: '/firm/', beforePatterns: true },
      { pattern: '^/img/.*[.]png$' },
      { pattern: '~*[.]PNG$' },
      {},
    );
    const asked = ['/a.png', '/img/x', '/firm/x.png', '/img/x.p%6eg', '/img/x.pNg?a', '/b//../b.png', '/b'];
    expect(asked.map((target) => to(target))).toEqual([0, 1, 2, 3, 4, 4, 5]);
  });

  it('routes of one path are asked in their order, and only those whose conditions hold', () => {
    const to = routesOf(
      {
        path: '/x',
        when: [
          { of: '$arg_a', is: '1' },
          { of: '$arg_b', isNot: '' },
        ],
      },
      { path: '/x', when: [{ of: '$arg_a', matches: '^(1|2)$' }] },
      { path: '/x', when: [{ of: '$arg_a', matchesNot: '~*^Z' }] },
      {},
    );
    const asked = ['/x?a=1&b=1', '/x?a=1', '/x?a=2', '/x?a=3', '/x?a=z', '/y?a=1'];
    expect(asked.map((target) => to(target))).toEqual([0, 1, 1, 2, 'NO_ROUTE', 3]);
  });

  it('a name comes before wildcards, those at the beginning before those at the end, and both before patterns', () => {
    const to = routesOf(
      { host: '~^w' },
      { host: 'www.*' },
      { host: '*.example' },
      { host: '*.shop.example' },
      { host: 'www.shop.example' },
      {},
    );
    const hosts = ['www.shop.example', 'a.shop.example', 'www.b.example', 'www.de', 'web', 'a', 'www'];
    expect(hosts.map((host) => to('/', host))).toEqual([4, 3, 2, 1, 0, 5, 0]);
  });

  it('ten thousand paths are told apart', () => {
    const paths = Array.from({ length: 10_000 }, (_, index) => `/${(index * 7919) % 10_007}/${index % 3}`);
    const to = routesOf(...paths.map((path, index) => ({ path, exact: index % 2 === 0 })));
    for (const index of [0, 1, 17, 4711, 9998, 9999]) expect(to(paths[index]!)).toBe(index);
    expect([to(`${paths[1]}x`), to(`${paths[2]}x`), to('/')]).toEqual([1, 'NO_ROUTE', 'NO_ROUTE']);
  });
});
