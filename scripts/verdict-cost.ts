// Prints the processor time of a verdict on a split with many variants and a million keys: of all of it, and of its largest
// piece, which is what holds the event loop. npx node scripts/verdict-cost.ts
import { Sample } from '../src/telemetry/sample.ts';

const KEYS = 1_000_000;
const JUDGEMENTS = 100;

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The median, with two digits. */
function median(values: readonly number[]): string {
  return values.toSorted((one, other) => one - other)[values.length >> 1]!.toFixed(2);
}

for (const count of [2, 32, 1000]) {
  const variants = Array.from({ length: count }, (_, at) => ({ name: `v${at}`, share: 1 / count }));
  const sample = new Sample({ split: 's', variants, definition: 'd', key: 'k', hasAnyHash: true });
  let state = 12_345;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let key = 0; key < KEYS; key += 1) {
    sample.add(random() % count, random(), random() % 50 === 0 ? 1 : 0, 20 + (random() % 100));
  }
  const whole: number[] = [];
  const largest: number[] = [];
  for (let judgement = 0; judgement < JUDGEMENTS; judgement += 1) {
    sample.add(random() % count, random(), 0, 20);
    const pieces: number[] = [];
    const judging = sample.lookInPieces(0);
    for (let isDone = false; !isDone; ) {
      const before = cpuMs();
      isDone = judging.next().done === true;
      pieces.push(cpuMs() - before);
    }
    whole.push(pieces.reduce((sum, one) => sum + one, 0));
    largest.push(Math.max(...pieces));
  }
  console.log(
    `${count} variants: a verdict ${median(whole)} ms, its largest piece ${median(largest)} ms (medians of ${JUDGEMENTS})`,
  );
}
