// Captures of locations, server names and conditions in the texts of an nginx.conf: fields, targets and keys.
import { beforeAll, describe, expect, it } from 'vitest';
import { nameCaptures } from '../../../../src/config/nginx/numbered-captures.ts';
import { parseConfig } from '../../../../src/config/parse.ts';
import { RequestFraming } from '../../../../src/http1/framing.ts';
import { RequestHead } from '../../../../src/http1/request-head.ts';
import { loadPatternEngine } from '../../../../src/key/pattern.ts';
import { compileMatches, compileRoutes } from '../../../../src/routing/routes.ts';
import { compileSplits } from '../../../../src/split/own.ts';
import { run } from '../../../support/nginx-conf.ts';

beforeAll(loadPatternEngine);

describe('groups with names', () => {
  it.each<[pattern: string, named: string]>([
    ['^/(a)(?<b>c)(?:d)\\(', '^/(?<path_capture_1>a)(?<b>c)(?:d)\\('],
    ['[(]([^]()])[[:alpha:]', '[(](?<path_capture_1>[^]()])[[:alpha:]'],
    ['((x))', '(?<path_capture_1>(?<path_capture_2>x))'],
  ])('%s', (pattern, named) => {
    expect(nameCaptures(pattern, 'path').pattern).toBe(named);
  });

  it('a file without such texts keeps its patterns', () => {
    const { document } = run('server { location ~ ^/(a) { return 200 $1; } }');
    expect(document!.routes).toMatchObject([{ pattern: '~^/(a)', respond: { body: '$1' } }]);
  });

  it('a text reads the last pattern that has matched', () => {
    const { document, problems } = run(`server { listen 80; proxy_set_header X-N "$1$2b";
      location / { proxy_pass http://a; } location ~ ^/(x)/(y) { if ($arg_z ~ "(.)") { proxy_pass http://b; } proxy_pass http://a/p/$2; } }`);
    expect(problems).toEqual([]);
    const { upstreams, routes } = document! as {
      upstreams: Record<string, { setHeaders: Record<string, string> }>;
      routes: { upstream: string; rewritePath?: unknown }[];
    };
    const fields = routes.map(({ upstream }) => upstreams[upstream]!.setHeaders['X-N']);
    expect(fields).toEqual(['b', '${if_capture_1}b', '${path_capture_1}${path_capture_2}b']);
    expect(routes[2]!.rewritePath).toEqual({ target: '/p/${path_capture_2}' });
  });
});

describe('a key that a route captures', () => {
  const YAML = `listen: ":8000"
splits:
  v: { key: $shop, variants: [{ name: a, share: 50%, upstream: http://a }, { name: b, share: "*", upstream: http://b }] }
routes: [{ pattern: "^/shop/(?<shop>[0-9]+)/", split: v }, { path: /, upstream: http://a }]
`;

  it('is the one of the path that the request has', () => {
    const { config, problems } = parseConfig(YAML, 'a.yaml');
    expect(problems).toBeUndefined();
    const { own, splitters } = compileSplits(config!);
    const routeOf = compileRoutes(config!, config!.routes, compileMatches(config!, own));
    const shops = ['1', '2', '3', '4', '5', '6', '7', '8'];
    const hashes = shops.map((shop) => {
      const head = new RequestHead();
      head.reset();
      const bytes = Buffer.from(`GET /shop/${shop}/x HTTP/1.1\r\nHost: h\r\n\r\n`);
      expect(head.parse(bytes, 0, bytes.length)).toBe(bytes.length);
      expect(new RequestFraming().read(head)).toBeNull();
      expect(routeOf(head)).toMatchObject({ split: 'v' });
      return splitters.get('v')!.decide(head).hash;
    });
    expect(new Set(hashes).size).toBe(8);
  });
});
