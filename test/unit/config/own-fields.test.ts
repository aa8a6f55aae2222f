// Lists of keys, overrides and the fields of the splitter's own: what of them is a mistake, and where it is told. A secret
// stands in no message, no hash and no view of the configuration.

import { describe, expect, it } from 'vitest';
import { describeConfig } from '../../../src/admin/effective-config.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblems } from '../../../src/config/problem.ts';
import type { ReadSecret } from '../../../src/config/secrets.ts';

const SECRET = 'correct-horse-battery';
const readSecret: ReadSecret = ({ file, variable }) => {
  if (file !== undefined) return file === '/run/secret' ? SECRET : { got: 'no such file' };
  return variable === 'SHORT' ? 'short and secret' : { got: 'no such variable' };
};

/** A split "s" with the variants a and b, `lines` among its options and `more` at the top. */
const textOf = (lines: readonly string[], more: readonly string[] = []) =>
  [
    'splits:',
    '  s:',
    ...lines.map((line) => `    ${line}`),
    '    variants:',
    '      - { name: a, share: 50%, upstream: http://a }',
    '      - { name: b, share: "*", upstream: http://b }',
    ...more,
    '',
  ].join('\n');

const parse = (text: string) => parseConfig(text, 's.yaml', { readSecret });
const problemsOf = (lines: readonly string[], more: readonly string[] = []) =>
  formatProblems(parse(textOf(lines, more)).problems ?? []).map((line) => line.replace(/^s\.yaml:/, ''));
const good = (lines: readonly string[], more: readonly string[] = []) => {
  expect(problemsOf(lines, more)).toEqual([]);
  return parse(textOf(lines, more)).config!;
};

const KEY_EXPECTED =
  "a key text like '$arg_token' or 'exp42:${cookie_uid}' (single quotes keep a shell from emptying it)";
const SECRET_EXPECTED = 'a secret of 16 to 256 characters out of letters, digits, "-", "_", "." and "~"';

describe('a list of keys', () => {
  it('may remember a key, in a cookie that has defaults', () => {
    const { key } = good([
      'key: [{ remember: $arg_token }, { remember: $http_x_user, cookie: __Host-u }]',
    ]).splits.get('s')!;
    const cookie = { path: '/', maxAge: 31_536_000_000, secure: 'auto' };
    expect(key).toEqual([
      { remember: '$arg_token', cookie: 'splitter_key', ...cookie },
      { remember: '$http_x_user', cookie: '__Host-u', ...cookie },
    ]);
  });

  it('may end with a minted one, whose cookie has defaults', () => {
    const { key } = good(['key: [$arg_token, { mint: uid }]']).splits.get('s')!;
    const minted = { mint: 'uid', cookie: 'splitter_uid', path: '/', maxAge: 31_536_000_000, secure: 'auto' };
    expect(key).toEqual(['$arg_token', minted]);
  });

  it.each<[string, string, string[]]>([
    [
      'none',
      'key: []',
      [
        `3:5 splits.s.key: expected ${KEY_EXPECTED}, or a list of 1 to 16 of them, of { remember: '$arg_token' }, and of { mint: uid } as the last entry, got []`,
      ],
    ],
    [
      'a minted key alone outside of a list',
      'key: { mint: uid }',
      [
        `3:5 splits.s.key: expected ${KEY_EXPECTED}, or a list of 1 to 16 of them, of { remember: '$arg_token' }, and of { mint: uid } as the last entry, got {"mint":"uid"}`,
      ],
    ],
    [
      'a minted key that is not the last one',
      'key: [{ mint: uid }, $arg_token]',
      [
        '3:26 splits.s.key[1]: expected no entry after a minted key, because every request has a key by then, got entry 2 of 2',
      ],
    ],
    [
      'a constant that is not the last one',
      'key: [salt, $arg_token]',
      [
        `3:11 splits.s.key[0]: ${'expected a variable like $arg_token in the key, because a text alone is the same key for every request; in a shell use single quotes, \'$arg_token\' (did you mean "$arg_salt"?), got "salt"'}`,
      ],
    ],
    [
      'a key text that cannot be compiled, at its own character',
      'key: [$arg_token, "x:$nope_y"]',
      [
        expect.stringMatching(
          /^3:26 splits\.s\.key\[1\]: expected a variable of .*, got "\$nope_y"$/,
        ) as unknown as string,
      ],
    ],
    [
      'a number',
      'key: [$arg_token, 7]',
      [`3:23 splits.s.key[1]: expected ${KEY_EXPECTED}, { remember: '$arg_token' } or { mint: uid }, got 7`],
    ],
    [
      'another thing to mint',
      'key: [{ mint: uuid }]',
      ['3:19 splits.s.key[0].mint: expected uid, the one thing that can be minted, got "uuid"'],
    ],
    [
      'a slip in an option of the minted key',
      'key: [{ mint: uid, maxage: 1h }]',
      ['3:24 splits.s.key[0].maxage: expected a known option (did you mean "maxAge"?), got "maxage"'],
    ],
    [
      'a cookie that cannot be named in a key text',
      'key: [{ mint: uid, cookie: "my uid" }]',
      [
        '3:32 splits.s.key[0].cookie: expected a cookie name of letters, digits, "_", "-", "." and "~", 64 characters at most, got "my uid"',
      ],
    ],
    [
      'a slip in an option of the remembered key',
      'key: [{ remember: $arg_token, maxage: 1h }]',
      ['3:35 splits.s.key[0].maxage: expected a known option (did you mean "maxAge"?), got "maxage"'],
    ],
    [
      'a remembered key that is no text, in a cookie that is none',
      'key: [{ remember: 7, cookie: "a b" }]',
      [
        `3:23 splits.s.key[0].remember: expected ${KEY_EXPECTED}, got 7`,
        '3:34 splits.s.key[0].cookie: expected a cookie name of letters, digits, "_", "-", "." and "~", 64 characters at most, got "a b"',
      ],
    ],
    [
      'a remembered text without a variable',
      'key: [{ remember: token }]',
      [
        `3:23 splits.s.key[0].remember: expected a variable like $arg_token in the key, because a text alone is the same key for every request; in a shell use single quotes, '$arg_token' (did you mean "$arg_token"?), got "token"`,
      ],
    ],
    [
      'a remembered variable that does not exist',
      'key: [{ remember: $cooky_x }]',
      [expect.stringMatching(/^3:23 splits\.s\.key\[0\]\.remember: expected a variable of /)],
    ],
    [
      'a __Host- cookie without Secure and with a path, which browsers drop',
      'key: [{ remember: $arg_token, cookie: __Host-t, secure: never, path: /shop }, { mint: uid, cookie: __Secure-u, secure: never }]',
      [
        '3:61 splits.s.key[0].secure: expected always or auto, because browsers keep no __Host- cookie without Secure, got "never"',
        '3:74 splits.s.key[0].path: expected /, because browsers keep no __Host- cookie with another path, got "/shop"',
        '3:124 splits.s.key[1].secure: expected always or auto, because browsers keep no __Secure- cookie without Secure, got "never"',
      ],
    ],
    [
      'an entry that nothing reaches, as the cookie of a remembered key was read before',
      'key: [{ remember: $arg_token, cookie: seen }, $cookie_seen]',
      [
        '3:51 splits.s.key[1]: expected a variable that no earlier entry has, because this entry is read only if those are empty, got "$cookie_seen"',
      ],
    ],
    // A ";" in the path would add attributes to the cookie, a line end would add fields to the response.
    [
      'a path that would end its attribute',
      'key: [{ mint: uid, path: "/a;b" }]',
      ['3:30 splits.s.key[0].path: expected a path like / or /shop, without ";", got "/a;b"'],
    ],
    [
      'an age over what browsers keep',
      'key: [{ mint: uid, maxAge: 9601h }]',
      ['3:32 splits.s.key[0].maxAge: expected a duration from 1s to 9600h like 250ms, 5s or 1m, got "9601h"'],
    ],
  ])('with a mistake is told where it stands: %s', (_, line, lines) => {
    expect(problemsOf([line])).toEqual(lines);
  });
});

describe('an override', () => {
  it('is off by default', () => {
    expect(good([]).splits.get('s')!.override).toBeUndefined();
  });

  it.each<[string, string, string[]]>([
    [
      'no place to ask in',
      'override: { variants: [a] }',
      ['3:5 splits.s.override: expected at least one of header, cookie and query, got none of them'],
    ],
    [
      'an unknown variant in its list',
      'override: { header: x-v, variants: [a, bb] }',
      [
        '3:44 splits.s.override.variants[1]: expected the name of a variant of this split (did you mean "b"?), got "bb"',
      ],
    ],
    [
      'an empty list',
      'override: { header: x-v, variants: [] }',
      ['3:30 splits.s.override.variants: expected a list of 1 to 1000 names of variants, got []'],
    ],
    [
      'no list',
      'override: { header: x-v }',
      ['3:5 splits.s.override.variants: expected a list of 1 to 1000 names of variants, got nothing'],
    ],
    [
      'a header that HTTP needs',
      'override: { header: Content-Length, variants: [a] }',
      [
        '3:25 splits.s.override.header: expected a header name of letters, digits and "-" like x-variant, 64 characters at most, that has no meaning in HTTP or here yet, got "Content-Length"',
      ],
    ],
    [
      'a header with an underscore',
      'override: { header: x_v, variants: [a] }',
      [
        '3:25 splits.s.override.header: expected a header name of letters, digits and "-" like x-variant, 64 characters at most, that has no meaning in HTTP or here yet, got "x_v"',
      ],
    ],
    [
      'a query parameter that needs an encoding',
      'override: { query: "a b", variants: [a] }',
      [
        '3:24 splits.s.override.query: expected a parameter name of letters, digits, "_", "-" and ".", 64 characters at most, got "a b"',
      ],
    ],
    [
      'a secret that is too short, which is not shown',
      'override: { query: v, variants: [a], secret: hunter2 }',
      [`3:50 splits.s.override.secret: expected ${SECRET_EXPECTED}, got 7 characters`],
    ],
    [
      'a secret that needs an encoding, which is not shown',
      `override: { query: v, variants: [a], secret: "${SECRET} " }`,
      [`3:50 splits.s.override.secret: expected ${SECRET_EXPECTED}, got 22 characters`],
    ],
    [
      'two secrets',
      `override: { query: v, variants: [a], secret: ${SECRET}, secretFile: /run/secret }`,
      ['3:85 splits.s.override.secretFile: expected one secret, in one place, got secret and secretFile'],
    ],
    [
      'a file without a secret',
      'override: { query: v, variants: [a], secretFile: /gone }',
      [`3:54 splits.s.override.secretFile: expected ${SECRET_EXPECTED}, in /gone, got no such file`],
    ],
    [
      'a variable without a good secret, which is not shown',
      'override: { query: v, variants: [a], secretVariable: SHORT }',
      [
        `3:58 splits.s.override.secretVariable: expected ${SECRET_EXPECTED}, in SHORT, got 16 characters of other kinds`,
      ],
    ],
    ['a key that reads what is taken out', 'override: { query: token, variants: [a] }', []],
  ])('with a mistake is told where it stands: %s', (_, line, lines) => {
    expect(problemsOf([line])).toEqual(lines);
  });

  it.each<[string, string[], string[]]>([
    [
      'its own query parameter',
      ['key: x$arg_Please', 'override: { query: please, variants: [a] }'],
      [
        '3:11 splits.s.key: expected a variable that override does not remove from the request, got "$arg_Please"',
      ],
    ],
    [
      'its own header',
      ['key: [$http_x_v]', 'override: { header: X-V, variants: [a] }'],
      [
        '3:11 splits.s.key[0]: expected a variable that override does not remove from the request, got "$http_x_v"',
      ],
    ],
    [
      'its own cookie',
      ['key: [{ mint: uid, cookie: V }]', 'override: { cookie: v, variants: [a] }'],
      ['3:11 splits.s.key[0]: expected a cookie that override does not use, got "V"'],
    ],
  ])('is no key at the same time: %s', (_, lines, problems) => {
    expect(problemsOf(lines)).toEqual(problems);
  });

  it('takes its secret from a file or from a variable', () => {
    const { splits } = good(['override: { query: v, variants: [a], secretFile: /run/secret }']);
    expect(splits.get('s')!.override!.secret).toBe(SECRET);
  });

  // An embedder that has no files must not end up with an override that asks for no secret.
  it('with a secret elsewhere is refused where nobody reads files', () => {
    const text = textOf(['override: { query: v, variants: [a], secretFile: /run/secret }']);
    expect(parseConfig(text, 's.yaml').problems).toHaveLength(1);
  });

  it('does not show its secret in /config, and its hash changes with it', () => {
    const override = (secret: string) => good([`override: { query: v, variants: [a], secret: ${secret} }`]);
    const [one, other] = [override(SECRET), override(`${SECRET}2`)];
    const shown = JSON.stringify(describeConfig(one));
    expect(shown).not.toContain(SECRET);
    expect(JSON.parse(shown)).toMatchObject({ splits: { s: { override: { secret: '(removed)' } } } });
    // A rotated secret is another configuration; replicas with the same one agree.
    expect(one.hash).not.toBe(other.hash);
    expect(one.hash).toBe(override(SECRET).hash);
  });
});

describe('the fields of the splitter itself', () => {
  it('are off by default', () => {
    expect(good([])).toMatchObject({ vary: false, requestId: false, traceparent: 'off' });
    expect(good([]).variantHeader).toBeUndefined();
  });

  it('the variant header is for the upstream unless the configuration says otherwise', () => {
    expect(good([], ['variantHeader: { name: X-Variant }']).variantHeader).toEqual({
      name: 'X-Variant',
      to: ['upstream'],
    });
  });

  it.each<[string, string, string[]]>([
    [
      'a name with a meaning',
      'variantHeader: { name: Set-Cookie }',
      [
        '6:24 variantHeader.name: expected a header name of letters, digits and "-" like x-variant, 64 characters at most, that has no meaning in HTTP or here yet, got "Set-Cookie"',
      ],
    ],
    [
      'nobody to tell',
      'variantHeader: { name: x-v, to: [] }',
      ['6:29 variantHeader.to: expected a list of upstream, client or both, got []'],
    ],
    [
      'somebody unknown to tell',
      'variantHeader: { name: x-v, to: [clients] }',
      [
        '6:34 variantHeader.to[0]: expected a list of upstream, client or both (did you mean "client"?), got "clients"',
      ],
    ],
    [
      'a trace that is neither',
      'traceparent: on',
      ['6:14 traceparent: expected off, sampled or unsampled, got "on"'],
    ],
  ])('with a mistake are told where it stands: %s', (_, line, lines) => {
    expect(problemsOf([], [line])).toEqual(lines);
  });

  it('the variant header is no key: what a client says under its name is never read', () => {
    expect(problemsOf(['key: $http_x_v'], ['variantHeader: { name: X-V }'])).toEqual([
      '3:10 splits.s.key: expected a variable that variantHeader does not remove from the request, got "$http_x_v"',
    ]);
  });
});
