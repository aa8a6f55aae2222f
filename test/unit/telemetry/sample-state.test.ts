// A sample as bytes: whole after a way through them, added up exactly, and refused when it is anything else.
import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { DURATION_BOUNDS_DEFAULT_MS } from '../../../src/config/duration-bounds.ts';
import { documentSchema } from '../../../src/config/options/document.ts';
import { Splitter } from '../../../src/split/splitter.ts';
import { setDurationBounds } from '../../../src/telemetry/duration-buckets.ts';
import { ENDING } from '../../../src/telemetry/epoch.ts';
import { identifySample, KEY_SETS, Sample } from '../../../src/telemetry/sample.ts';
import {
  adoptSample,
  decodeSample,
  encodeInPieces,
  encodeSample,
  hasOwnBuckets,
  mergeSample,
  restoreSample,
} from '../../../src/telemetry/sample-state.ts';
import { randomWords } from '../../support/random.ts';

const config = documentSchema.parse({
  splits: {
    s: {
      variants: [
        { name: 'a', share: '50%', upstream: 'a' },
        { name: 'b', share: '*', upstream: 'b' },
      ],
    },
  },
}).splits.s!;
const newSample = (since?: Date) =>
  new Sample(identifySample('s', new Splitter('s', config).variants, config), null, since);

/** Counts keys from..to, each twice, a tenth of those of the second variant with a failure. */
function used(sample: Sample, from: number, to: number): Sample {
  const words = randomWords(from);
  for (let key = from; key < to; key += 1) {
    const hash = words();
    const variant = hash < 2 ** 31 ? 0 : 1;
    sample.add(variant, hash, ENDING.answered, 5);
    sample.add(variant, hash, variant === 1 && key % 10 === 0 ? ENDING.failed : ENDING.answered, 7);
    if (key % 7 === 0) sample.leftOut(variant, 'keyless', ENDING.answered);
  }
  return sample;
}

function contentsOf(sample: Sample) {
  return {
    identity: sample.identity,
    since: sample.since,
    // A digest: comparing hundreds of thousands of words one by one takes seconds.
    sets: KEY_SETS.map((set) => [
      createHash('sha1').update(sample[set].allWords).update(sample[set].registers.all).digest('hex'),
      sample.counts(set),
    ]),
    cells: sample.rows.map(({ cells }) => cells),
    sums: sample.sums,
  };
}

describe('a sample as bytes', () => {
  test('is copied in many pieces where it is large', () => {
    const variants = Array.from({ length: 1000 }, (_, at) => ({ name: `v${at}`, share: 0.001 }));
    const sample = new Sample({ split: 's', variants, definition: 'd', key: 'k', hasAnyHash: true });
    for (let hash = 0; hash < 5000; hash += 1) sample.add(hash % 1000, hash * 858_993);
    const pieces = encodeInPieces(sample);
    let [count, last] = [1, pieces.next()];
    for (; last.done !== true; count += 1) last = pieces.next();
    expect(count).toBeGreaterThan(20);
    expect(last.value.equals(encodeSample(sample))).toBe(true);
    const again = decodeSample(last.value);
    expect(restoreSample(again).counts()).toEqual(sample.counts());
  });

  test('leaves its durations out where its next process has other buckets, and nothing else', () => {
    const bytes = encodeSample(used(newSample(), 1, 2000));
    onTestFinished(() => setDurationBounds(DURATION_BOUNDS_DEFAULT_MS));
    setDurationBounds([10, 100]);
    const state = decodeSample(bytes);
    const sample = restoreSample(state);
    expect(hasOwnBuckets(state)).toBe(false);
    expect(
      sample.rows.map(({ durations, durationSumUs }) => [Math.max(...durations), durationSumUs]),
    ).toEqual([
      [0, 0],
      [0, 0],
    ]);
    expect(sample.rows[0]!.endings[0]).toBeGreaterThan(1000);
    expect(sample.sums).toEqual(state.reading.sums);
  });

  test('is the same sample again, alarms included', () => {
    const sample = used(newSample(new Date(1000)), 1, 20_000);
    const { sentence } = sample.verdict(5000);
    expect(sentence).toMatch(/^b hurts: \+\d/);
    const again = restoreSample(decodeSample(encodeSample(sample)));
    expect(contentsOf(again)).toEqual(contentsOf(sample));
    expect(again.evidence.kept).toEqual(sample.evidence.kept);
    expect(again.verdict(6000).sentence).toBe(sentence);
  });

  test('goes on in a process that has already counted', () => {
    const [old, now] = [used(newSample(new Date(1000)), 1, 500), used(newSample(), 500, 900)];
    const both = used(used(newSample(new Date(1000)), 1, 500), 500, 900);
    adoptSample(now, decodeSample(encodeSample(old)));
    expect(contentsOf(now)).toEqual(contentsOf(both));
  });

  test('of other pods adds up to what one would have counted, without their alarms', () => {
    const pods = [used(newSample(new Date(3000)), 1, 9000), used(newSample(new Date(2000)), 9000, 20_000)];
    for (const pod of pods) pod.verdict();
    const fleet = newSample(new Date(9000));
    for (const pod of pods) mergeSample(fleet, decodeSample(encodeSample(pod)).reading);
    expect(contentsOf(fleet)).toEqual(
      contentsOf(used(used(newSample(new Date(2000)), 1, 9000), 9000, 20_000)),
    );
    expect(fleet.evidence.kept.alarms).toEqual([]);
  });

  test('of another form or size is refused, and so is one that is cut', () => {
    const bytes = encodeSample(used(newSample(), 1, 10));
    expect(() => decodeSample(Buffer.from('{}'))).toThrow('expected a sample of version 1');
    expect(() => decodeSample(bytes.subarray(0, bytes.length - 100))).toThrow('got the end');
    expect(() => decodeSample(bytes.subarray(0, 20))).toThrow('expected a header in JSON');
    const other = Buffer.from(bytes);
    other[3] = 9;
    expect(() => decodeSample(other)).toThrow('expected a sample of version 1');
    const text = Buffer.from(
      bytes.toString('latin1').replace('"parts":[1048576', '"parts":[1048577'),
      'latin1',
    );
    expect(() => decodeSample(text)).toThrow('other sizes');
  });
});
