// `npm run fuzz -- [--seconds 60] [--seed N]`: runs the fuzzer for a given time, from a seed that it prints first.
import { Command } from 'commander';
import { fuzz } from './fuzz.ts';

const { seed, seconds } = new Command('npm run fuzz --')
  .description('Hostile clients and upstreams against the data plane. Prints its seed first.')
  .option('--seconds <n>', 'how long it runs', Number, 60)
  .option('--seed <n>', 'repeats the inputs of an earlier run', Number, Math.floor(Math.random() * 2 ** 31))
  .parse()
  .opts<{ seed: number; seconds: number }>();
const endAt = performance.now() + seconds * 1000;
console.log(`seed ${seed}`);
console.log(await fuzz(seed, () => performance.now() >= endAt));
