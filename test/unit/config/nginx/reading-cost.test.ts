// How the time for reading an nginx.conf grows with its length.
import { describe, expect, it } from 'vitest';
import { parseNginx } from '../../../../src/config/nginx/translate.ts';
import { growth, LINEAR_MAX } from '../../../support/growth.ts';

describe('an nginx.conf of any kind is read in a time that grows with its length', () => {
  const repeat = (count: number, line: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join('');
  // Each took from ten seconds to several minutes, at thirty-two times this size, when every problem and every block looked at
  // all others. Of a size, what a text of it holds and how many problems it has.
  it.each<[what: string, size: number, textOf: (size: number) => string, problems: (size: number) => number]>(
    [
      ['unknown directives', 4500, (n) => repeat(n, () => 'a b;\n'), (n) => n + 1],
      [
        'servers',
        125,
        (n) =>
          `http { ${repeat(n, (i) => `server { server_name h${i}.example; location / { proxy_pass http://b${i}; } }\n`)} }`,
        () => 0,
      ],
      [
        'addresses of one server',
        1500,
        (n) =>
          `http { server { ${repeat(n, (i) => `listen ${(i % 65_000) + 1};\n`)} location / { proxy_pass http://b; } } }`,
        // One of them is the admin port.
        (n) => (n >= 9901 ? 1 : 0),
      ],
      [
        'servers with an address each',
        250,
        (n) =>
          `http { ${repeat(n, (i) => `server { listen ${i + 1}; location / { proxy_pass http://b; } }\n`)} }`,
        () => 0,
      ],
      [
        'includes that name no file',
        1250,
        (n) => repeat(n, (i) => `include d${i}/*.conf;\n`),
        (n) => Math.max(1, n - 255),
      ],
      [
        'upstreams and locations',
        125,
        (n) =>
          `http { ${repeat(n, (i) => `upstream u${i} { server b${i}:80; }\n`)} server { ${repeat(n, (i) => `location /p${i} { proxy_pass http://u${i}; }\n`)} } }`,
        () => 0,
      ],
      [
        'fields that thousands of locations inherit',
        300,
        (n) =>
          `http { ${repeat(100, (i) => `proxy_set_header X-H${i} v${i};\n`)} server { ${repeat(n, (i) => `location /p${i} { proxy_pass http://b; }\n`)} } }`,
        () => 0,
      ],
      [
        'more fields than a request may have',
        200,
        (n) =>
          `http { ${repeat(n, (i) => `proxy_set_header X-H${i} v${i};\n`)} server { ${repeat(n, (i) => `location /p${i} { proxy_pass http://b; }\n`)} } }`,
        () => 1,
      ],
    ],
  )('%s', (_, size, textOf, problems) => {
    const read = (n: number) => {
      const outcome = parseNginx(textOf(n), 'nginx.conf', { readInclude: () => [] });
      expect(outcome.problems?.length ?? 0).toBe(problems(n));
    };
    expect(growth(read, size)).toBeLessThan(LINEAR_MAX);
  });
});

it('fields that thousands of upstreams inherit are refused beyond 200,000, at the first of them', () => {
  const lines = (count: number, line: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join('\n');
  const text = (upstreams: number) =>
    `http {\n${lines(100, (i) => `proxy_set_header X-${i} v;`)}\nserver {\n${lines(upstreams, (i) => `location /${i} { proxy_pass http://b${i}; }`)}\n} }`;
  const { problems } = parseNginx(text(2001), 'nginx.conf', { readInclude: () => [] });
  expect(problems?.map(({ at, expected, got }) => `${at} ${expected} ${got}`)).toEqual([
    'nginx.conf:2:1 at most 200000 fields that all upstreams set together, inherited ones included more',
  ]);
});
