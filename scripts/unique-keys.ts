// Measures the error of the estimated number of unique keys, with the counter of the product: it draws random 32-bit hashes
// as distinct keys have them, counts them per variant, and prints the mean error in percent with its standard error.
//
//   npx node scripts/unique-keys.ts [RUNS]      10 runs up to 400 million keys by default: some minutes of one core

import { Uniques } from '../src/telemetry/uniques.ts';

const HASH_COUNT = 2 ** 32;
const LOOKS = [1e6, 1e7, 1e8, 4e8];
/** Shares of the variants; null = every variant may have any hash, as with rendezvous hashing. */
const SPLITS: readonly (readonly number[] | null)[] = [null, [0.5, 0.5], [0.9, 0.1]];
const runs = Number(process.argv[2] ?? 10);

/** sfc32: passes PractRand, period of at least 2^64. */
function makeRandom(seed: number): () => number {
  let [a, b, c, counter] = [seed, 0x9e3779b9, 0x243f6a88, 1];
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let turn = 0; turn < 16; turn += 1) next();
  return next;
}

/** For each look and variant the estimate relative to the number of keys that were drawn, less 1. */
function run(shares: readonly number[] | null, seed: number): number[][] {
  const bounds = shares === null ? HASH_COUNT : Math.floor(shares[0]! * HASH_COUNT);
  const variants = shares?.length ?? 1;
  const uniques = new Uniques(shares === null ? [HASH_COUNT] : [bounds, HASH_COUNT - bounds]);
  const random = makeRandom(seed);
  const drawn = [0, 0];
  let keys = 0;
  return LOOKS.map((look) => {
    for (; keys < look; keys += 1) {
      const hash = random();
      const variant = hash < bounds ? 0 : 1;
      uniques.add(variant, hash);
      drawn[variant]! += 1;
    }
    return Array.from(
      { length: variants },
      (_, variant) => uniques.count(variant).keys / drawn[variant]! - 1,
    );
  });
}

console.log(`unique keys, ${runs} runs each: mean error and its standard error in percent`);
for (const shares of SPLITS) {
  const results = Array.from({ length: runs }, (_, seed) => run(shares, seed + 1));
  for (const [at, look] of LOOKS.entries()) {
    for (const [variant, share] of (shares ?? [1]).entries()) {
      const errors = results.map((result) => 100 * result[at]![variant]!);
      const mean = errors.reduce((sum, error) => sum + error, 0) / runs;
      const spread = Math.sqrt(errors.reduce((sum, error) => sum + (error - mean) ** 2, 0) / (runs - 1));
      const hashes = share * HASH_COUNT;
      const lost = 100 * (1 + (hashes * Math.expm1((-look * share) / hashes)) / (look * share));
      console.log(
        [
          shares === null ? 'all hashes' : `${share * 100} % of ${shares.map((one) => one * 100).join('/')}`,
          `${look} keys`,
          `${mean.toFixed(2)} ± ${(spread / Math.sqrt(runs)).toFixed(2)}`,
          `(${lost.toFixed(2)} % have the hash of another key)`,
        ].join('   '),
      );
    }
  }
}
