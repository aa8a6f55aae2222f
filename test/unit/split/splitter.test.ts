// The splitter: key, method and missing-key policy together, and the answer to "why did this token go there?".
import murmurhash from 'murmurhash';
import { describe, expect, it } from 'vitest';
import type { SplitConfig } from '../../../src/config/options/split.ts';
import { LibraryView } from '../../../src/split/request.ts';
import { Splitter } from '../../../src/split/splitter.ts';

const arms = (...list: (number | null)[]): SplitConfig['variants'] =>
  list.map((share, index) => ({ name: `v${index}`, share, upstream: `http://u${index}` }));

function splitter(config: Partial<SplitConfig>, random?: () => number): Splitter {
  const full = {
    key: '$arg_token',
    method: 'ranges',
    missingKey: 'default',
    variants: arms(5000, null),
  } as const;
  return new Splitter('appversion', { ...full, ...config }, random);
}

const view = (url: string) => new LibraryView({ url });

it.each([
  ['xbaaErt4', 'v0'],
  ['seaaa5zI', 'v0'],
  ['flaacpuc', 'v1'],
  ['kgaa79Mn', 'v1'],
  ['adaadpOj', 'v1'],
  ['vraaWviL', 'v1'],
  ['abc', 'v0'],
  ['a', 'v1'],
])('token %s goes to %s at 50/50', (token, name) => {
  expect(splitter({}).decide(view(`/?token=${token}`)).variant?.name).toBe(name);
});

it('a decision names the variant with its upstream, the hash and the reason', () => {
  expect(splitter({}).decide(view('/?token=abc'))).toEqual({
    variant: { index: 0, name: 'v0', upstream: 'http://u0', share: 2147483647 / 2 ** 32 },
    hash: 324500635,
    reason: 'share',
    extras: null,
  });
});

describe('a request without a key', () => {
  const missing = '/?other=1';

  it.each([
    ['the "*" variant', arms(1000, 2000, null), 'v2'],
    ['the last variant where there is no "*"', arms(5000, 5000), 'v1'],
    ['the last variant that owns anything, when the last one is parked', arms(5000, 5000, 0), 'v1'],
    ['the last variant that owns anything, when nothing is left for "*"', arms(5000, 5000, null), 'v1'],
  ])('default: goes to %s', (_, variants, name) => {
    const decision = splitter({ variants }).decide(view(missing));
    expect(decision).toMatchObject({ variant: { name }, hash: 0, reason: 'missing_key' });
  });

  it('default with rendezvous: goes to the "*" variant wherever it stands', () => {
    const decision = splitter({ method: 'rendezvous', variants: arms(null, 2000, 3000) }).decide(
      view(missing),
    );
    expect(decision.variant?.name).toBe('v0');
  });

  it('first: goes where nginx sends hash 0', () => {
    const first = splitter({ missingKey: 'first', variants: arms(0, 1000, null) });
    for (const url of ['/', '/?token', '/?token=']) {
      expect(first.decide(view(url))).toMatchObject({
        variant: { name: 'v1' },
        hash: 0,
        reason: 'missing_key',
      });
    }
  });

  it('first, with a salt: goes where nginx sends the salt alone', () => {
    const salted = splitter({ key: 'salt:$arg_token', missingKey: 'first' });
    const hash = murmurhash.v2(Buffer.from('salt:'), 0);
    const name = hash < 2147483647 ? 'v0' : 'v1';
    expect(salted.decide(view(missing))).toMatchObject({ hash, reason: 'missing_key', variant: { name } });
  });

  it('first, with rendezvous: the empty key competes like any other', () => {
    const config = { method: 'rendezvous', missingKey: 'first', variants: arms(2000, 3000, null) } as const;
    const { variant, scores } = splitter(config).explain(view(missing));
    const highest = scores!.reduce((best, one) => (one.score > best.score ? one : best));
    expect(variant?.name).toBe(highest.variant);
  });

  it.each([
    [0, 'v0'],
    [0.0999, 'v0'],
    [0.1001, 'v1'],
    [0.2999, 'v1'],
    [0.3001, 'v2'],
    [1 - 2 ** -53, 'v2'],
  ])('random: the dice at %d choose %s by share', (dice, name) => {
    for (const method of ['ranges', 'rendezvous'] as const) {
      const config = { missingKey: 'random', method, variants: arms(1000, 2000, null) } as const;
      const decision = splitter(config, () => dice).decide(view(missing));
      expect(decision).toMatchObject({ variant: { name }, reason: 'missing_key', hash: 0 });
    }
  });

  it('random with rendezvous goes by share also where "*" stands in front', () => {
    const config = { missingKey: 'random', method: 'rendezvous', variants: arms(null, 2000) } as const;
    expect(splitter(config, () => 0.79).decide(view(missing)).variant?.name).toBe('v0');
    expect(splitter(config, () => 0.81).decide(view(missing)).variant?.name).toBe('v1');
  });

  it('reject: gets no variant', () => {
    const decision = splitter({ missingKey: 'reject' }).decide(view(missing));
    expect(decision).toEqual({ variant: null, hash: 0, reason: 'missing_key', extras: null });
  });

  it('is nothing to a key text without a variable', () => {
    const decision = splitter({ key: 'constant', missingKey: 'reject' }).decide(view(missing));
    expect(decision).toMatchObject({ reason: 'share', hash: murmurhash.v2(Buffer.from('constant'), 0) });
  });
});

describe('explain', () => {
  it('gives key, hash, position, range, variant and reason', () => {
    expect(splitter({ variants: arms(1000, 4000, null) }).explain(view('/?token=alice'))).toEqual({
      split: 'appversion',
      method: 'ranges',
      missingKey: 'default',
      keySource: '$arg_token',
      isMinted: false,
      isRemembered: false,
      enrolment: null,
      isTargeted: true,
      override: null,
      key: 'alice',
      hash: 479601241,
      position: (479601241 / 2 ** 32) * 100,
      range: { from: 429496729, end: 2147483647 },
      scores: null,
      variant: { index: 1, name: 'v1', upstream: 'http://u1', share: (2147483647 - 429496729) / 2 ** 32 },
      reason: 'share',
    });
  });

  it('gives the scores in place of a range with rendezvous', () => {
    const explained = splitter({ method: 'rendezvous', variants: arms(5000, null) }).explain(
      view('/?token=alice'),
    );
    expect(explained.range).toBeNull();
    expect(explained.scores?.map(({ variant }) => variant)).toEqual(['v0', 'v1']);
    const [v0, v1] = explained.scores!.map(({ score }) => score);
    expect(explained.variant?.name).toBe(v0! > v1! ? 'v0' : 'v1');
  });

  it('shows bytes that cannot be printed as \\xHH', () => {
    expect(splitter({}).explain(view('/?token=a\xe9\\b')).key).toBe('a\\xe9\\x5cb');
  });

  it('says that a request without a key was rejected', () => {
    const explained = splitter({ missingKey: 'reject' }).explain(view('/'));
    expect(explained).toMatchObject({
      key: '',
      hash: 0,
      position: 0,
      variant: null,
      range: null,
      reason: 'missing_key',
    });
  });

  it('agrees with decide', () => {
    for (const method of ['ranges', 'rendezvous'] as const) {
      const one = splitter({ method, variants: arms(1000, 2000, 3000, null) });
      for (let i = 0; i < 500; i++) {
        const { extras: _, ...decision } = one.decide(view(`/?token=${i}`));
        expect(one.explain(view(`/?token=${i}`))).toMatchObject(decision);
      }
    }
  });
});

it('a key text that cannot be compiled is a broken invariant', () => {
  expect(() => splitter({ key: '$nothing' })).toThrow('broken invariant');
});
