// A sample goes on as long as no key can change its variant, and begins anew when one can.
import { describe, expect, test } from 'vitest';
import { documentSchema } from '../../../src/config/options/document.ts';
import type { SplitConfig } from '../../../src/config/options/split.ts';
import { Splitter } from '../../../src/split/splitter.ts';
import { Counters } from '../../../src/telemetry/counters.ts';
import { identifySample, Sample } from '../../../src/telemetry/sample.ts';
import { randomHashes } from '../../support/random.ts';

function splitOf(more: object = {}, share = '50%', upstream = 'a'): SplitConfig {
  return documentSchema.parse({
    splits: {
      s: {
        ...more,
        variants: [
          { name: 'a', share, upstream },
          { name: 'b', share: '*', upstream: 'b' },
        ],
      },
    },
  }).splits.s!;
}

function sampleOf(counters: Counters, config: SplitConfig) {
  return counters.sample('s', new Splitter('s', config).variants, config);
}

describe('the sample of a split', () => {
  test('is the same after a change of upstreams or of the missing-key policy', () => {
    const counters = new Counters();
    const sample = sampleOf(counters, splitOf());
    sample.add(0, 1);
    expect(sampleOf(counters, splitOf({}, '50%', 'elsewhere'))).toBe(sample);
    expect(sampleOf(counters, splitOf({ missingKey: 'first' }))).toBe(sample);
  });

  test.each([
    ['share', splitOf({}, '40%')],
    ['key', splitOf({ key: '$arg_user' })],
    ['method', splitOf({ method: 'rendezvous' })],
  ] as const)('is a new one after a change of %s', (_, config) => {
    const counters = new Counters();
    const sample = sampleOf(counters, splitOf());
    sample.add(0, 1);
    const next = sampleOf(counters, config);
    expect(next).not.toBe(sample);
    expect(next.counts()[0]!.keys).toBe(0);
    expect([...counters.samples()]).toEqual([next]);
  });

  test('counts keys by variant and judges them', () => {
    const counters = new Counters();
    const sample = sampleOf(counters, splitOf());
    for (let key = 0; key < 3000; key += 1) {
      const hash = Math.imul(key, 0x9e3779b1) >>> 0;
      sample.add(hash < 2 ** 31 ? 0 : 1, hash);
    }
    expect(sample.verdict()).toMatchObject({ isMismatch: false });
    const [a, b] = sample.counts();
    expect(a!.keys + b!.keys).toBeGreaterThan(2950);
    for (let key = 3000; key < 3600; key += 1) {
      const hash = Math.imul(key, 0x9e3779b1) >>> 0;
      if (hash < 2 ** 31) sample.add(0, hash);
    }
    expect(sample.verdict()).toMatchObject({ isMismatch: true });
  });
});

describe('the last 15 minutes of a sample', () => {
  const MINUTE = 60_000;
  const newSample = () => {
    const config = splitOf();
    return new Sample(identifySample('s', new Splitter('s', config).variants, config), null, new Date(0));
  };

  test('are all of it while it is younger, and then what came since', () => {
    const sample = newSample();
    sample.add(0, 1, 1, 5);
    sample.look(1 * MINUTE);
    sample.add(0, 2, 0, 5);
    expect(sample.recent(10 * MINUTE)).toMatchObject({ seconds: 600 });
    expect([...sample.recent(10 * MINUTE).row(0).endings]).toEqual([1, 1, 0, 0]);
    for (let minute = 2; minute <= 40; minute += 1) {
      sample.look(minute * MINUTE);
      sample.add(1, minute, 0, 5);
    }
    const recent = sample.recent(40 * MINUTE);
    expect(recent.seconds).toBe(900);
    expect(recent.row(1).endings[0]).toBe(16);
    expect(recent.row(0).endings[0]).toBe(0);
  });
});

describe('the verdict on a split with 1,000 variants', () => {
  const variants = Array.from({ length: 1000 }, (_, at) => ({ name: `v${at}`, share: 0.001 }));
  const used = () => {
    const sample = new Sample({ split: 's', variants, definition: 'd', key: 'k', hasAnyHash: true });
    // The first variant has the keys of 99 others too.
    for (const [at, hash] of randomHashes(20_000, 5).entries())
      sample.add(at % 1000 < 100 ? 0 : at % 1000, hash);
    return sample;
  };

  test('is the same in small pieces as at once', () => {
    const [sample, other] = [used(), used()];
    sample.look(1);
    const pieces = [...other.lookInPieces(1)];
    expect(pieces.length).toBeGreaterThan(30);
    expect(other.verdict()).toEqual(sample.verdict());
    expect(other.verdict().level).toBe('stop');
  });

  test('waits for the next regular look: readers get the last one and judge nothing', () => {
    const sample = used();
    sample.look(1);
    const verdict = sample.verdict();
    sample.add(7, 1);
    expect(sample.verdict()).toBe(verdict);
    sample.look(2);
    expect(sample.verdict()).not.toBe(verdict);
  });
});

describe('keys that a change of shares has moved', () => {
  test('are counted when they come again, and not without such a change', () => {
    const counters = new Counters();
    const first = sampleOf(counters, splitOf());
    const hashes = randomHashes(20_000, 3);
    for (const hash of hashes) first.add(hash < 2 ** 31 ? 0 : 1, hash);
    expect(first.moved()).toBeNull();
    // From 50 % to 30 %: every key from 30 % to 50 % moves, and half of all come again.
    const next = sampleOf(counters, splitOf({}, '30%'));
    let expected = 0;
    for (const hash of hashes.subarray(0, 10_000)) {
      const variant = hash < 0.3 * 2 ** 32 ? 0 : 1;
      next.add(variant, hash);
      if (variant === 1 && hash < 2 ** 31) expected += 1;
    }
    const { keys, standardError } = next.moved()!;
    expect(Math.abs(keys - expected)).toBeLessThan(4 * standardError + 3);
    expect(expected).toBeGreaterThan(1900);
    expect(sampleOf(counters, splitOf({ key: '$arg_user' }, '30%')).moved()).toBeNull();
  });
});
