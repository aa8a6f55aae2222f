// Whatever the text, a configuration is read to a Config or to problems that can be acted on: never a throw, never an
// endless loop, and a good file with any slip in it is still told by line and column.

import fc from 'fast-check';
import { beforeAll, expect, it, vi } from 'vitest';
import type { ConfigResult } from '../../src/config/link.ts';
import { parseNginx } from '../../src/config/nginx/translate.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { loadPatternEngine } from '../../src/key/pattern.ts';
import { RUNS_LIMIT_MS, runs } from '../support/runs.ts';

vi.setConfig({ testTimeout: RUNS_LIMIT_MS });

const YAML = `listen: ":8000"
x-a: &a { connectTimeout: 1s }
upstreams: { a: { <<: *a, url: "http://a" }, b: { url: "unix:/b", pool: { maxConnections: 3 } } }
splits:
  s:
    key: "\${arg_token}"
    variants:
      - { name: x, share: 50%, upstream: a }
      - { name: y, share: "*", upstream: http://c }
routes:
  - { host: "*.shop.example", path: /x/, split: s }
  - { upstream: b }
`;
const NGINX = `split_clients "exp\${arg_token}" $v { 50% a; * 'b'; } # end
upstream a { server a:81 max_fails=3; keepalive 4; }
server {
  listen 8000 default_server; server_name _;
  client_max_body_size 8m;
  location /x/ { proxy_pass http://$v; proxy_set_header Host $host; }
  location / { proxy_pass http://a; proxy_read_timeout 1m30s; }
}
`;

const readInclude = () => ({ got: 'no such file' });

/** A text with one piece taken out, put in or doubled. */
const slips = (text: string) =>
  fc
    .tuple(
      fc.nat(text.length - 1),
      fc.nat(12),
      fc.oneof(
        fc.constant(''),
        fc.constantFrom(
          '"',
          "'",
          '{',
          '}',
          ';',
          '*',
          '&',
          ':',
          '\n',
          '\t',
          '#',
          '<<: ',
          '\\',
          '[',
          ',',
          '- ',
          '$',
          '~',
          '__proto__',
          '\0',
          '\u00a0',
          '\v',
          '\ufeff',
        ),
        fc.string({ maxLength: 8 }),
      ),
    )
    .map(([at, gone, put]) => text.slice(0, at) + put + text.slice(at + gone));

const PLACE = /^f(:\d+:\d+)?( \S.*)?: expected \S.*, got \S/s;

/** Throws with what is wrong with an outcome; a property asks this thousands of times. */
function prove({ config, problems }: ConfigResult): void {
  if (config !== undefined) {
    if (config.routes.length === 0) throw new Error('a good configuration takes some request');
    return;
  }
  if (problems.length === 0) throw new Error('neither a configuration nor a problem');
  const bare = problems.map(formatProblem).find((line) => !PLACE.test(line));
  if (bare !== undefined) throw new Error(`not a line to act on: ${bare}`);
}

/** Any text, halves of surrogate pairs too. */
const anything = fc
  .array(fc.oneof(fc.nat(0x7f), fc.nat(0xffff), fc.nat(0x10ffff)), { maxLength: 200 })
  .map((points) => String.fromCodePoint(...points));

const spoilt = (text: string) => fc.oneof(slips(text), anything);

beforeAll(loadPatternEngine);

it('of YAML', () => {
  fc.assert(
    fc.property(spoilt(YAML), (text) => prove(parseConfig(text, 'f'))),
    runs(600),
  );
});

it('of nginx.conf', () => {
  fc.assert(
    fc.property(spoilt(NGINX), (text) => prove(parseNginx(text, 'f', { readInclude }))),
    runs(2000),
  );
});

it('the texts that are spoilt here are good', () => {
  expect(parseConfig(YAML, 'f').problems).toBeUndefined();
  expect(parseNginx(NGINX, 'f', { readInclude }).problems).toBeUndefined();
});
