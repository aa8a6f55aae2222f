// Who may ask: deny, allow and limit_except of an nginx.conf as routes that answer 403.
import { beforeAll, describe, expect, it } from 'vitest';
import { loadPatternEngine } from '../../../../src/key/pattern.ts';
import { asking, good, run } from '../../../support/nginx-conf.ts';

beforeAll(loadPatternEngine);

describe('access', () => {
  it('methods that limit_except does not name get 403 before the rest of the location', () => {
    const { config } = good(asking({ location: 'limit_except GET post { deny all; }' }));
    expect(config.routes).toMatchObject([
      { respond: { status: 403 }, when: [{ of: '$request_method', matchesNot: '^(?:GET|POST|HEAD)$' }] },
      { upstream: 'a' },
    ]);
  });

  it('deny all needs no proxy_pass, and a location may allow what its server denies', () => {
    const { config } = good(
      'server { deny all; location / { } location /x { allow all; proxy_pass http://a; } }',
    );
    expect(config.routes).toMatchObject([{ respond: { status: 403 } }, { path: '/x', upstream: 'a' }]);
  });

  it.each<[what: string, location: string, problem: string]>([
    [
      'an address',
      'allow 10.0.0.0/8; deny all;',
      'allow: expected all; addresses are not looked up here: limit them before the splitter, by a network policy or a firewall, got "10.0.0.0/8"',
    ],
    [
      'a limit that limits nothing',
      'limit_except GET { }',
      'limit_except: expected methods like GET POST, and a block with deny all, got "GET"',
    ],
    [
      'another directive in it',
      'limit_except GET { deny all; proxy_pass http://b; }',
      'expected a directive that can be kept in limit_except, got "proxy_pass"',
    ],
  ])('%s is refused', (_what, location, problem) => {
    expect(run(asking({ location })).problems).toEqual([expect.stringContaining(problem)]);
  });
});

describe('expires', () => {
  it.each<[word: string, expires: string, cacheControl: string]>([
    ['1h30m', '${expires_in_5400}', 'max-age=5400'],
    ['+30d', '${expires_in_2592000}', 'max-age=2592000'],
    ['-1', '${expires_in_-1}', 'no-cache'],
    ['0', '${expires_in_0}', 'max-age=0'],
  ])('%s', (word, expires, cacheControl) => {
    const { config } = good(asking({ location: `expires ${word};` }));
    expect(config.routes[0]!.setResponseHeaders).toMatchObject({
      Expires: { value: expires, on: 'good' },
      'Cache-Control': { value: cacheControl, on: 'good' },
    });
  });
});
