// Messages about a configuration are logged and shown on the admin port, and so is its hash: neither says a secret.
import { describe, expect, test } from 'vitest';
import { configFromSettings, givenSettings } from '../../../src/config/env.ts';
import { parseNginx } from '../../../src/config/nginx/translate.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblems, type Problem } from '../../../src/config/problem.ts';

const SECRET = 's3cr3t';
const SPLITS = 'splits: { s: { variants: [{ name: a, share: "*", upstream: http://a }] } }\n';

const lines = ({ problems }: { readonly problems?: readonly Problem[] | undefined }) =>
  formatProblems(problems ?? []).join('\n');
const ofYaml = (text: string) => lines(parseConfig(text, 's.yaml'));
const hashOf = (text: string) => parseConfig(text, 's.yaml').config!.hash;

describe('a problem names the place and the kind, and not the secret', () => {
  test.each([
    [
      'a control character in a set field',
      `upstreamDefaults: { setHeaders: { Authorization: "Bearer ${SECRET}\\x01" } }\n${SPLITS}`,
      'upstreamDefaults.setHeaders.Authorization: expected a text like',
      'got 14 characters',
    ],
    [
      'a list as a set field',
      `upstreamDefaults: { setHeaders: { X-Key: [${SECRET}] } }\n${SPLITS}`,
      'setHeaders.X-Key',
      'got a list',
    ],
    [
      'set fields that are no map',
      `upstreamDefaults: { setHeaders: "${SECRET}" }\n${SPLITS}`,
      'upstreamDefaults.setHeaders',
      'got 6 characters',
    ],
    [
      'a "$" inside a password',
      `upstreamDefaults: { setHeaders: { Authorization: "Basic x$${SECRET}" } }\n${SPLITS}`,
      'setHeaders.Authorization',
      'got 14 characters',
    ],
    [
      'a URL with credentials',
      SPLITS.replace('http://a', `"http://user:${SECRET}@a"`),
      's.variants[0].upstream',
      '(removed)@a',
    ],
    [
      'a URL with "/" and "@" in its password',
      SPLITS.replace('http://a', `"http://user:x/@${SECRET}?@a"`),
      's.variants[0].upstream',
      '(removed)@a',
    ],
    [
      'a URL with a token alone',
      SPLITS.replace('http://a', `"https://${SECRET}@a/"`),
      's.variants[0].upstream',
      '(removed)@a',
    ],
    [
      'credentials without a scheme',
      SPLITS.replace('http://a', `"user:${SECRET}@a:80"`),
      's.variants[0].upstream',
      '(removed)@a',
    ],
    [
      'credentials that are longer than a message',
      SPLITS.replace('http://a', `"http://user:${SECRET}${'x'.repeat(100)}@a"`),
      's.variants[0].upstream',
      '(removed)@a',
    ],
    [
      'the secret of an override',
      `splits: { s: { override: { query: v, secret: "${SECRET}" }, variants: [{ name: a, share: "*", upstream: http://a }] } }`,
      'override.secret',
      'got 6 characters',
    ],
    [
      'a set field whose quote is not closed',
      `upstreamDefaults:\n  setHeaders:\n    Authorization: "Bearer ${SECRET}\n${SPLITS}`,
      's.yaml:',
      'expected',
    ],
    [
      'a set field in broken brackets',
      `upstreamDefaults: { setHeaders: { X-Key: ${SECRET} }\n  ]${SPLITS}`,
      's.yaml:',
      'expected',
    ],
    ['a text between the lines', `listen: ":80"\n"${SECRET}" "${SECRET}"\n${SPLITS}`, 's.yaml:', 'expected'],
    [
      'an alias as a set field',
      `upstreamDefaults: { setHeaders: { X-Key: *${SECRET} extra } }\n${SPLITS}`,
      's.yaml:',
      'expected',
    ],
    ['a document that is a text', SECRET, 's.yaml:1:1', 'got 6 characters'],
  ])('%s', (_, text, place, got) => {
    const problem = ofYaml(text);
    expect(problem).toContain(place);
    expect(problem).toContain(got);
    expect(problem).not.toContain(SECRET);
  });

  test('in an environment variable', () => {
    const settings = givenSettings({}, { SPLIT: `50% http://user:${SECRET}@a; * http://b` });
    const problem = lines(configFromSettings(settings));
    expect(problem).toContain('(removed)@a');
    expect(problem).not.toContain(SECRET);
  });

  test.each([
    [`proxy_set_header Authorization "Basic x$${SECRET}"; proxy_pass http://a;`, 'proxy_set_header'],
    [`proxy_pass http://user:${SECRET}@a;`, 'proxy_pass'],
  ])('in an nginx.conf: %s', (directives, place) => {
    const text = `http { split_clients $arg_t $v { * a; } server { listen 80; location / { ${directives} } } }`;
    const problem = lines(parseNginx(text, 'nginx.conf', { readInclude: () => [] }));
    expect(problem).toContain(place);
    expect(problem).not.toContain(SECRET);
  });
});

test('a line of known options is still shown where the syntax is broken', () => {
  expect(ofYaml('listen: ":80"\nsplits: { s: { key: [$arg_a }\n')).toContain('got');
  expect(ofYaml('listen: [":80"\nadmin: ":81"\n')).toContain('admin');
});

describe('the hash', () => {
  const withFields = (fields: string) => `upstreamDefaults: { setHeaders: { ${fields} } }\n${SPLITS}`;

  test('changes with the value of a set field and is the same for the same one', () => {
    const one = hashOf(withFields(`Authorization: "Bearer ${SECRET}", X-Real-IP: $remote_addr`));
    expect(hashOf(withFields(`X-Real-IP: $remote_addr, Authorization: "Bearer ${SECRET}"`))).toBe(one);
    expect(hashOf(withFields(`Authorization: "Bearer ${SECRET}2", X-Real-IP: $remote_addr`))).not.toBe(one);
  });

  test('changes with a variable of a set field, and with its name', () => {
    const hashes = ['X-A: $host', 'X-A: $remote_addr', 'X-B: $host'].map((fields) =>
      hashOf(withFields(fields)),
    );
    expect(new Set(hashes).size).toBe(3);
  });
});
