// Twelve things that go wrong with experiments, each played through the counters with 10,000 users: what is said of it.
import { describe, expect, test } from 'vitest';
import { documentSchema } from '../../../src/config/options/document.ts';
import { FAULT_CODES } from '../../../src/errors.ts';
import { Splitter } from '../../../src/split/splitter.ts';
import { endingOf } from '../../../src/telemetry/epoch.ts';
import { identifySample, Sample } from '../../../src/telemetry/sample.ts';
import { randomHashes, randomRatios } from '../../support/random.ts';

const config = documentSchema.parse({
  splits: {
    s: {
      variants: [
        { name: 'A', share: '50%', upstream: 'a' },
        { name: 'B', share: '*', upstream: 'b' },
      ],
    },
  },
}).splits.s!;

const USERS = 10_000;
const A = 0;
const B = 1;
const OK = endingOf(200, -1);
const ERROR = endingOf(500, -1);
const RESET = endingOf(0, FAULT_CODES.indexOf('UPSTREAM_RESET'));
const GONE = endingOf(0, FAULT_CODES.indexOf('DOWNSTREAM_GONE'));

interface World {
  readonly sample: Sample;
  readonly random: () => number;
  /** A request of a user that takes some 8 ms. */
  request(variant: number, hash: number, ending?: number, factor?: number): void;
}

/** Plays every user's visits, 1 to 5 of them, unless `visits` says how many. */
function play(
  visit: (world: World, variant: number, hash: number) => void,
  visits: (variant: number, random: () => number) => number = (_, random) => 1 + Math.floor(random() * 5),
): Sample {
  const sample = new Sample(identifySample('s', new Splitter('s', config).variants, config));
  const random = randomRatios(7);
  const world: World = {
    sample,
    random,
    request: (variant, hash, ending = OK, factor = 1) =>
      sample.add(variant, hash, ending, factor * 4 * Math.exp(2 * random())),
  };
  for (const hash of randomHashes(USERS, 20)) {
    const variant = hash < 2 ** 31 ? A : B;
    for (let count = visits(variant, random); count > 0; count -= 1) visit(world, variant, hash);
  }
  return sample;
}

const troublesOf = (sample: Sample) => sample.verdict().alarms.map(({ trouble }) => trouble);

describe('of 10,000 users it is said', () => {
  test('that nothing was found where nothing is wrong', () => {
    const { level, state, sentence, alarms } = play((world, variant, hash) =>
      world.request(variant, hash, world.random() < 0.01 ? ERROR : OK),
    ).verdict();
    expect({ level, state, alarms }).toEqual({ level: 'none', state: 'good', alarms: [] });
    expect(sentence).toMatch(
      /^nothing found in 10,0\d\d users: errors differ by −?\d\.\d points \(−\d\.\d to \d\.\d\)$|^nothing found in 9,9\d\d users/,
    );
  });

  test('that B hurts where it answers 30 % with 500', () => {
    const { state, sentence } = play((world, variant, hash) =>
      world.request(variant, hash, variant === B && world.random() < 0.3 ? ERROR : OK),
    ).verdict();
    expect(state).toBe('hurts');
    expect(sentence).toMatch(/^B hurts: \+\d\d\.\d points of users with errors \(\d\d\.\d to \d\d\.\d\)$/);
  });

  test('that B hurts where its upstream resets 30 %', () => {
    const { sentence } = play((world, variant, hash) =>
      world.request(variant, hash, variant === B && world.random() < 0.3 ? RESET : OK),
    ).verdict();
    expect(sentence).toMatch(/^B hurts: /);
  });

  test('that B hurts all its users and reaches none where it is down', () => {
    const { sentence, alarms } = play((world, variant, hash) =>
      world.request(variant, hash, variant === B ? ERROR : OK),
    ).verdict();
    expect(sentence).toBe('B hurts: +100 points of users with errors (99.8 to 100)');
    expect(alarms.map(({ sentence: one }) => one)).toContain(
      'B does not reach its users: 0.00 % of them got a whole good answer, of the others 100 %',
    );
  });

  test('that clients of B leave before the answer where they do, and that it does not reach them', () => {
    const { sentence, alarms } = play((world, variant, hash) =>
      world.request(variant, hash, variant === B && world.random() < 0.4 ? GONE : OK),
    ).verdict();
    expect(sentence).toMatch(/^B does not reach its users: /);
    expect(alarms.map(({ sentence: one }) => one).join('\n')).toMatch(
      /clients of B leave before the answer: \+\d\d\.\d points of requests/,
    );
  });

  test('that B gets more requests per user where they return five times as often, and no more than "look"', () => {
    const { level, sentence, isMismatch } = play(
      (world, variant, hash) => world.request(variant, hash),
      (variant) => (variant === B ? 10 : 2),
    ).verdict();
    expect(sentence).toMatch(
      /^B gets 5\.0 times as many requests per user \(5\.0 to 5\.0\): its users return more often/,
    );
    expect({ level, isMismatch }).toEqual({ level: 'look', isMismatch: false });
  });

  test('that A gets more requests per user where those of B never return', () => {
    const { sentence } = play(
      (world, variant, hash) => world.request(variant, hash),
      (variant) => (variant === B ? 1 : 5),
    ).verdict();
    expect(sentence).toMatch(/^A gets 5\.\d times as many requests per user/);
  });

  test('that B hurts where its failures make users take new keys', () => {
    const fresh = randomHashes(10 * USERS, 21)[Symbol.iterator]();
    const { sentence } = play(
      (world, first, hash) => {
        for (let variant = first, key = hash; ; ) {
          const fails = variant === B && world.random() < 0.2;
          world.request(variant, key, fails ? ERROR : OK);
          if (!fails) return;
          key = fresh.next().value!;
          variant = key < 2 ** 31 ? A : B;
        }
      },
      () => 1,
    ).verdict();
    expect(sentence).toMatch(/^B hurts: \+\d\d\.\d points/);
  });

  test('that B gets more requests per user where a cache answers for A', () => {
    const { sentence } = play((world, variant, hash) => {
      if (variant === B || world.random() < 0.4) world.request(variant, hash);
    }).verdict();
    expect(sentence).toMatch(
      /^(B gets \d\.\d+ times as many|the sample cannot be trusted: A has \d+ % fewer)/,
    );
  });

  test('that a few keys send much where one robot sends 40 %', () => {
    const sample = play((world, variant, hash) => world.request(variant, hash));
    const requests = sample.rows.reduce((sum, { endings }) => sum + endings[OK]!, 0);
    for (let count = (requests * 2) / 3; count > 0; count -= 1) sample.add(A, 12345, OK, 8);
    const { sentence, alarms } = sample.verdict();
    expect(sentence).toMatch(
      /^a few keys send 5\d % of the requests of A: robots, or a key that many share$/,
    );
    expect(alarms.map(({ trouble }) => trouble)).toEqual(['robots']);
  });

  test('that requests have no key where 30 % have none', () => {
    const sample = play((world, variant, hash) => {
      if (world.random() < 0.3) world.sample.leftOut(B, 'keyless', OK);
      else world.request(variant, hash);
    });
    expect(sample.verdict().sentence).toBe(
      '30 % of all requests have no key: most go to B, outside of the sample',
    );
  });

  test('that the sample cannot be trusted where a fallback took requests of B', () => {
    const sample = play((world, variant, hash) => {
      if (variant === B && hash % 3 === 0) world.sample.leftOut(B, 'fallbacks', OK);
      else world.request(variant, hash);
    });
    expect(sample.verdict()).toMatchObject({ state: 'mismatch', isMismatch: true });
    expect(sample.verdict().sentence).toMatch(
      /^the sample cannot be trusted: B has 20 % fewer users than its share \(a fallback took \d,\d{3} requests\)$/,
    );
    expect(troublesOf(sample)).toContain('fallbacks');
  });

  test('that keys do not arrive by chance where another split of the same key comes first', () => {
    const { sentence } = play((world, variant, hash) => {
      // The splitter before this one sends every key with a low hash here.
      if (hash < 2 ** 31 * 0.9 || hash > 2 ** 31 * 1.7) world.request(variant, hash);
    }).verdict();
    expect(sentence).toMatch(
      /^the sample cannot be trusted: \w has .* another split of the same key before this one/,
    );
  });

  test('that B is slow where it takes three times as long', () => {
    const { state, sentence } = play((world, variant, hash) =>
      world.request(variant, hash, OK, variant === B ? 3.1 : 1),
    ).verdict();
    expect(state).toBe('hurts');
    expect(sentence).toMatch(
      /^B is slow: 3\.\d times as long \(3\.\d to 3\.\d\), typically 3\d ms against 1\d ms$/,
    );
  });
});

describe('an alarm', () => {
  test('stays until the sample begins again, and says when the numbers of now no longer raise it', () => {
    const sample = play(
      (world, variant, hash) => {
        if (variant === A || world.random() < 0.8) world.request(variant, hash);
      },
      () => 1,
    );
    const at = sample.verdict(1000);
    expect(at).toMatchObject({ level: 'stop', isMismatch: true, pValue: expect.any(Number) });
    // The keys that were missing come later.
    for (const hash of randomHashes(USERS, 20)) if (hash >= 2 ** 31) sample.add(B, hash, OK, 5);
    const later = sample.verdict(2000);
    expect(later).toMatchObject({ level: 'stop', isMismatch: true, pValue: at.pValue });
    expect(later.alarms[0]).toMatchObject({ trouble: 'shares', sinceMs: 1000, isPresent: false });
    expect(later.sentence).toMatch(
      /^found before, no longer in the numbers of now: the sample cannot be trusted/,
    );
  });

  test('of the level look becomes one of the level stop as evidence grows, and not the other way', () => {
    const sample = play(
      (world, variant, hash) => {
        if (variant === A || hash % 23 !== 0) world.request(variant, hash);
      },
      () => 1,
    );
    expect(sample.verdict().alarms).toEqual([]);
    for (const hash of randomHashes(12 * USERS, 33)) {
      if (hash < 2 ** 31 || hash % 23 !== 0) sample.add(hash < 2 ** 31 ? A : B, hash, OK, 5);
    }
    expect(sample.verdict().alarms[0]).toMatchObject({ trouble: 'shares', level: 'stop' });
  });

  test('is not raised by fewer keys than can tell', () => {
    const sample = new Sample(identifySample('s', new Splitter('s', config).variants, config));
    for (const hash of randomHashes(40, 1)) sample.add(hash < 2 ** 31 ? A : B, hash, OK, 5);
    sample.add(B, 2 ** 31 + 5, ERROR, 5);
    expect(sample.verdict()).toMatchObject({ level: 'none', state: 'early' });
    expect(sample.verdict().sentence).toBe('too few users to tell: 41 so far');
  });
});
