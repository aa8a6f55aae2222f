// Door 1: flags and environment variables alone, and over a file. Precedence flag > environment > file > default.
import { describe, expect, it } from 'vitest';
import { configFromSettings, emptyVariableNotes, givenSettings } from '../../../src/config/env.ts';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblems } from '../../../src/config/problem.ts';

type Texts = Record<string, string>;

const outcomeOf = (environment: Texts, flags: Texts = {}) =>
  configFromSettings(givenSettings(flags, environment));

const configOf = (environment: Texts, flags: Texts = {}) => {
  const outcome = outcomeOf(environment, flags);
  expect(formatProblems(outcome.problems ?? [])).toEqual([]);
  return outcome.config!;
};

const problemsOf = (environment: Texts, flags: Texts = {}) =>
  formatProblems(outcomeOf(environment, flags).problems ?? []);

const TWO = '50% http://backend; * http://backend-experiment';

describe('SPLIT', () => {
  it('makes a split named default, its variants named by the hosts of their upstreams', () => {
    const config = configOf({ LISTEN: ':8000', SPLIT_KEY: '$arg_token', SPLIT: TWO });
    const split = config.splits.get('default')!;
    expect(split.variants).toEqual([
      { name: 'backend', share: 5000, upstream: 'http://backend' },
      { name: 'backend-experiment', share: null, upstream: 'http://backend-experiment' },
    ]);
    expect(split.key).toBe('$arg_token');
    expect(config.routes).toEqual([{ path: '/', exact: false, beforePatterns: false, split: 'default' }]);
    expect([...config.upstreams.keys()]).toEqual(['http://backend', 'http://backend-experiment']);
  });

  it.each<[string, string, string[]]>([
    ['names in front', 'a=50% http://b; b=* http://b', ['a', 'b']],
    ['a name for one of them', '50% http://b; b=* http://c', ['b-2', 'b']],
    ['one host on two ports', '50% http://b:81; * http://b:82', ['b-81', 'b-82']],
    ['the same URL twice', '50% http://b; * http://b', ['b-80', 'b-80-2']],
    ['a Unix socket', '50% unix:/run/app.sock; * http://b', ['app', 'b']],
    ['an IPv6 address', '50% http://[::1]:80; * http://127.0.0.1', ['1', '127.0.0.1']],
    ['line breaks, a semicolon at the end', '\n  50% http://a;\n  * http://b;\n', ['a', 'b']],
  ])('takes %s', (_what, text, names) => {
    expect(
      configOf({ SPLIT: text })
        .splits.get('default')!
        .variants.map(({ name }) => name),
    ).toEqual(names);
  });

  it.each<[string, string, string[]]>([
    [
      'a bad share',
      '25.125% http://a; * http://b',
      [
        'SPLIT:1: expected a percentage from 0% to 100% with two decimals at most, or "*" for the rest, got "25.125%"',
      ],
    ],
    [
      'a URL with a path, at its own column',
      'a=50% http://a/x; * http://b',
      [
        'SPLIT:7: expected a URL like http://backend:8080, https://backend or unix:/run/app.sock, without a path, got "http://a/x"',
      ],
    ],
    [
      'a missing upstream',
      '50% http://a; *',
      ['SPLIT:16: expected the name of an upstream or a URL like http://backend:8080, got nothing'],
    ],
    [
      'a missing semicolon',
      '50% http://a * http://b',
      [
        'SPLIT: expected shares of 100% together, or a last variant with share "*", got 50%',
        'SPLIT:14: expected "[NAME=]SHARE UPSTREAM" between semicolons, got "50% http://a * http://b"',
      ],
    ],
    ['nothing but semicolons', ';;', ['SPLIT: expected a list of 1 to 1000 variants, got []']],
    [
      'shares over 100 %',
      '60% http://a; 60% http://b',
      ['SPLIT: expected shares of at most 100% together, got 120%'],
    ],
    [
      'a name twice',
      'a=50% http://a; a=* http://b',
      ['SPLIT:17: expected each name once in a split, got "a" again'],
    ],
  ])('answers %s', (_what, text, lines) => {
    expect(problemsOf({ SPLIT: text })).toEqual(lines);
  });
});

describe('flags and variables', () => {
  it('a flag stands above its variable, and its mistakes are told in its own name', () => {
    expect(configOf({ SPLIT: TWO, LISTEN: ':1' }, { listen: ':2' }).listen[0]!.port).toBe(2);
    expect(problemsOf({ SPLIT: TWO }, { key: 'salt:$bad' })).toEqual([
      '--key:6: expected a variable of $arg_NAME $http_NAME $cookie_NAME $remote_addr $host $uri $request_uri $request_method $args, got "$bad"',
    ]);
    expect(problemsOf({}, { split: 'x http://a', admin: '9' })).toEqual([
      expect.stringMatching(/^--admin: expected an address/),
      expect.stringMatching(/^--split:1: expected a percentage/),
    ]);
  });

  it('an empty variable counts as absent, an empty flag as a mistake', () => {
    expect(configOf({ SPLIT: TWO, LISTEN: '', ADMIN: '' }).listen[0]!.port).toBe(8000);
    expect(problemsOf({ SPLIT: TWO }, { listen: '' })).toEqual([
      expect.stringMatching(/^--listen: expected an address .* got ""$/),
    ]);
  });

  it('an empty SPLIT_KEY beside variants is a mistake, as a shell may have emptied it', () => {
    expect(problemsOf({ SPLIT: TWO, SPLIT_KEY: '' })).toEqual([
      expect.stringMatching(
        /^SPLIT_KEY: expected a key text .*single quotes keep a shell from emptying it.*, got ""$/,
      ),
    ]);
    expect(problemsOf({ SPLIT_KEY: '' }, { split: TWO })).toHaveLength(1);
    expect(configOf({ SPLIT: TWO, SPLIT_KEY: '' }, { key: '$arg_uid' }).splits.get('default')!.key).toBe(
      '$arg_uid',
    );
  });

  it('each empty variable is noted', () => {
    expect(
      emptyVariableNotes({ admin: 'off' }, { LISTEN: '', ADMIN: '', SPLIT_KEY: '', WORKERS: '2' }),
    ).toEqual([
      'LISTEN is set but empty: it counts as absent',
      'SPLIT_KEY is set but empty: it counts as absent',
    ]);
  });

  it('WORKERS takes a number or auto', () => {
    expect(configOf({ SPLIT: TWO }).workers).toBe(1);
    expect(configOf({ SPLIT: TWO, WORKERS: '4' }).workers).toBe(4);
    expect(configOf({ SPLIT: TWO, WORKERS: '4' }, { workers: 'auto' }).workers).toBe('auto');
    for (const text of ['0', '257', 'many', '-1', '2.5']) {
      const { problems } = outcomeOf({ SPLIT: TWO, WORKERS: text });
      expect(problems).toHaveLength(1);
      expect(problems![0]).toMatchObject({
        at: 'WORKERS',
        expected: 'a whole number from 1 to 256, or auto',
      });
    }
  });

  it('LOG_LEVEL takes a level, before that of the file, and leaves the rest of the file alone', () => {
    expect(configOf({ SPLIT: TWO }).log.level).toBe('info');
    expect(configOf({ SPLIT: TWO, LOG_LEVEL: 'warn' }).log.level).toBe('warn');
    expect(configOf({ SPLIT: TWO, LOG_LEVEL: 'warn' }, { logLevel: 'error' }).log.level).toBe('error');
    expect(problemsOf({ SPLIT: TWO, LOG_LEVEL: 'debug' })).toEqual([
      'LOG_LEVEL: expected info, warn or error, got "debug"',
    ]);
  });

  it('LISTEN takes several addresses, ADMIN takes off', () => {
    const config = configOf({ SPLIT: TWO, LISTEN: ':8000, unix:/run/s.sock', ADMIN: 'off' });
    expect(config.listen.map(({ port, path }) => path ?? port)).toEqual([8000, '/run/s.sock']);
    expect(config.admin).toBeNull();
  });

  it('variables that are not ours are left alone', () => {
    expect(givenSettings({}, { PATH: '/bin', SPLITTER_PORT: 'tcp://10.0.0.1:80', HOME: '/' })).toEqual([]);
  });
});

describe('over a file', () => {
  const FILE = `listen: ":1"
splits:
  appversion:
    key: $arg_a
    missingKey: first
    variants: [{ name: a, share: "*", upstream: http://a }]
routes: [{ path: /x, split: appversion }, { upstream: http://rest }]
`;
  const over = (file: string, environment: Texts) =>
    parseConfig(file, 'f.yaml', { settings: givenSettings({}, environment) });

  it('LISTEN and ADMIN replace what the file says, and hide its mistakes', () => {
    const { config } = over(FILE.replace('":1"', 'nonsense'), { LISTEN: ':2', ADMIN: 'off' });
    expect(config!.listen[0]!.port).toBe(2);
    expect(config!.admin).toBeNull();
  });

  it('SPLIT and SPLIT_KEY apply to the only split of the file, which keeps its name, settings and routes', () => {
    const { config } = over(FILE, { SPLIT: TWO, SPLIT_KEY: '$cookie_uid' });
    const split = config!.splits.get('appversion')!;
    expect(split).toMatchObject({ key: '$cookie_uid', missingKey: 'first' });
    expect(split.variants.map(({ name }) => name)).toEqual(['backend', 'backend-experiment']);
    expect(config!.routes[0]).toEqual({
      path: '/x',
      exact: false,
      beforePatterns: false,
      split: 'appversion',
    });
  });

  it('SPLIT may name the upstreams of the file', () => {
    const { config } = over('upstreams: { b: { url: http://b, connectTimeout: 9s } }', { SPLIT: '* b' });
    expect(config!.splits.get('default')!.variants).toEqual([{ name: 'b', share: null, upstream: 'b' }]);
    expect(config!.upstreams.get('b')!.connectTimeout).toBe(9000);
  });

  it('SPLIT over several splits is a mistake, told beside those of the file', () => {
    const two = FILE.replace(
      'routes:',
      '  other: { variants: [{ name: a, share: 10, upstream: http://a }] }\nroutes:',
    );
    expect(formatProblems(over(two, { SPLIT: TWO }).problems!)).toEqual([
      'SPLIT: expected a configuration with one split, to which it applies, got 2: appversion, other',
      expect.stringMatching(/^f\.yaml:7:41 splits\.other\.variants\[0\]\.share: expected a percentage/),
    ]);
  });
});
