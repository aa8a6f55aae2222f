// Prints the processor time of a new process for reading, checking and linking a configuration of 1,000 variants and 10,000
// routes: as plain YAML, and with the yaml package's nodes and places. The two take turns. npx node scripts/config-cost.ts [ROUNDS]
import { execFileSync } from 'node:child_process';
import { parsePlain } from '../src/config/parse-plain.ts';

const WAYS = ['plain', 'package'] as const;

const variants = Array.from(
  { length: 1000 },
  (_, at) => `      - { name: v${at}, weight: 1, upstream: ${at % 2 === 0 ? 'a' : 'b'} }`,
);
const routes = Array.from({ length: 10_000 }, (_, at) => `  - { path: /small/${at}/, split: s }`);
const TEXT = `upstreams: { a: { url: http://a }, b: { url: http://b } }
splits:
  s:
    variants:
${variants.join('\n')}
routes:
${routes.join('\n')}
`;

/** Milliseconds of all threads, with the module that the way needs. */
async function read(way: string): Promise<number> {
  const before = process.cpuUsage();
  const outcome =
    way === 'plain'
      ? parsePlain(TEXT, {})
      : (await import('../src/config/parse.ts')).parseConfig(TEXT, 'f.yaml');
  const { user, system } = process.cpuUsage(before);
  if (outcome?.config?.routes.length !== routes.length)
    throw new Error(`expected ${routes.length} routes, got ${outcome?.problems?.length} problems`);
  return (user + system) / 1000;
}

const [given = '7'] = process.argv.slice(2);
if (WAYS.some((way) => way === given)) process.stdout.write(`${await read(given)}\n`);
else {
  const taken = WAYS.map((way) => ({ way, ms: [] as number[] }));
  for (let round = 0; round < Number(given); round += 1)
    for (const { way, ms } of taken)
      ms.push(Number(execFileSync(process.execPath, [import.meta.filename, way], { encoding: 'utf8' })));
  for (const { way, ms } of taken) {
    ms.sort((a, b) => a - b);
    const median = ms[ms.length >>> 1]!;
    process.stdout.write(
      `${way.padEnd(8)} ${median.toFixed(0)} ms, ${ms[0]!.toFixed(0)} to ${ms.at(-1)!.toFixed(0)}\n`,
    );
  }
}
