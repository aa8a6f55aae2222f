// A sample goes on as long as no key can change its variant, and begins anew when one can.
import { describe, expect, test } from 'vitest';
import { documentSchema } from '../../../src/config/options/document.ts';
import type { SplitConfig } from '../../../src/config/options/split.ts';
import { Splitter } from '../../../src/split/splitter.ts';
import { Counters } from '../../../src/telemetry/counters.ts';

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
