// Prints the processor time that one answer of the admin port takes from the data plane at 1,000 variants and a million keys: the
// largest of the turns of the event loop while it is made. npx node scripts/admin-cost.ts
import { request } from 'node:http';
import { pino } from 'pino';
import { startAdmin } from '../src/admin/server.ts';
import { Ambassador } from '../src/ambassador.ts';
import { parseConfig } from '../src/config/parse.ts';
import { encodeEntry } from '../src/service/sample-entry.ts';
import { adoptSample, decodeSample, encodeSample } from '../src/telemetry/sample-state.ts';

const VARIANTS = 1000;
const KEYS = 1_000_000;
const ROUNDS = 11;

const variants = Array.from(
  { length: VARIANTS },
  (_, at) => `{ name: v${at}, weight: 1, upstream: http://127.0.0.1:1 }`,
);
const { config } = parseConfig(
  `admin: 127.0.0.1:0\nsplits: { s: { method: rendezvous, variants: [${variants.join(', ')}] } }\n`,
  'f.yaml',
);
const open = () => new Ambassador(config!, { log: pino({ level: 'silent' }) });

function fill(ambassador: Ambassador): void {
  const sample = ambassador.counters.presentSample('s')!;
  let state = 12_345;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let key = 0; key < KEYS; key += 1) {
    sample.add(random() % VARIANTS, random(), random() % 50 === 0 ? 1 : 0, 20 + (random() % 100));
  }
}

function mainThreadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** The next turn of the event loop. */
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** The largest turn of the event loop until `work` has ended. */
async function largestTurnMs(work: () => Promise<unknown>): Promise<number> {
  let largest = 0;
  let at = mainThreadMs();
  let isOver = false;
  const look = () => {
    const now = mainThreadMs();
    largest = Math.max(largest, now - at);
    at = now;
  };
  const turns = (async () => {
    while (!isOver) {
      await nextTurn();
      look();
    }
  })();
  await nextTurn();
  at = mainThreadMs();
  largest = 0;
  await work();
  look();
  isOver = true;
  await turns;
  return largest;
}

/** The answer is thrown away. */
const ask = (address: string, path: string) => () =>
  new Promise<void>((resolve, reject) => {
    const headers = { 'accept-encoding': 'gzip' };
    request(`${address}${path}`, { headers }, (response) => response.resume().on('end', resolve))
      .on('error', reject)
      .end();
  });

/** @param round does something beforehand, and gives what is measured to `measure` */
async function rounds(
  what: string,
  count: number,
  round: (measure: typeof largestTurnMs) => Promise<number>,
): Promise<void> {
  const turns: number[] = [];
  while (turns.length < count) turns.push(await round(largestTurnMs));
  turns.sort((one, other) => one - other);
  const [median, most] = [turns[turns.length >> 1]!, turns.at(-1)!].map((ms) => ms.toFixed(1));
  console.log(`${what}: largest turn ${median} ms, ${most} ms at most (${count})`);
}

const ambassador = open();
fill(ambassador);
const paths = ['/metrics', '/status', '/status.csv', '/samples', '/history'];
for (const [at, path] of ['/metrics before any verdict', ...paths].entries()) {
  await rounds(path, at === 0 ? 1 : ROUNDS, async (measure) => {
    // One port for each: the answers of one are shared for a while.
    const { address, close } = await startAdmin(ambassador, config!.admin!);
    await ask(address, '/healthz')();
    const turn = await measure(ask(address, path.split(' ')[0]!));
    await close();
    return turn;
  });
}
const head = { version: 1, process: 'p', owner: 'o', writtenMs: 0, isEnded: false, adopted: [] } as const;
await rounds('a write to the store', ROUNDS, (measure) =>
  measure(() => encodeEntry(head, ambassador.counters.samples())),
);
const bytes = encodeSample(ambassador.counters.presentSample('s')!);
await rounds('going on from the store', ROUNDS, (measure) => {
  const sample = open().counters.presentSample('s')!;
  return measure(async () => adoptSample(sample, decodeSample(bytes)));
});
