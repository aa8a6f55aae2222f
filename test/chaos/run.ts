// Builds request-splitter, plays the faults against it, nginx and HAProxy, and writes docs/reliability.md, whose figures
// come from nowhere else. `npx node test/chaos/run.ts [--fault NAME…] [--rate N]`.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { FAULTS, type Fault, faultNamed, type Intensity, play } from './faults.ts';
import { lostOf, type Tally } from './load.ts';
import { findProgram } from './processes.ts';
import { missing, PROXY_NAMES, type ProxyName } from './proxies.ts';

const ROOT = join(import.meta.dirname, '../..');
const REPORT = join(ROOT, 'docs/reliability.md');

const HEADER = [
  '| proxy | requests | lost | wrong | late | longest wait |',
  '| --- | --: | --- | --: | --: | --: |',
];

const options = new Command('npx node test/chaos/run.ts')
  .description('Plays faults against three proxies and writes docs/reliability.md.')
  .option('--fault <names...>', 'only these, and write nothing')
  .addOption(new Option('--rate <n>', 'honest requests a second').argParser(Number).default(200))
  .addOption(new Option('--times <n>', 'how often a fault comes').argParser(Number).default(4))
  .addOption(new Option('--hostile <n>', 'clients that misbehave').argParser(Number).default(300))
  .parse()
  .opts<{ fault?: string[]; rate: number; times: number; hostile: number }>();

// What users run. A process that runs the sources is twice as large, and when it is killed the kernel frees its memory
// before it closes its connections: requests that still arrive there are lost too.
execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
const main = join(ROOT, 'dist/main.js');

const intensity: Intensity = { ...options, everyMs: 2000 };
const chosen = options.fault?.map(faultNamed) ?? FAULTS;
const loadBefore = loadavg()[0]!;
const sections: string[] = [];
for (const fault of chosen) {
  console.error(fault.title);
  const rows: string[] = [];
  for (const name of PROXY_NAMES) rows.push(await row(fault, name));
  const section = [`## ${fault.title}`, '', fault.story, '', ...HEADER, ...rows, ''].join('\n');
  console.log(section);
  sections.push(section);
}
if (options.fault === undefined) writeFileSync(REPORT, `${introduction()}\n${sections.join('\n')}`);

async function row(fault: Fault, name: ProxyName): Promise<string> {
  const reason = fault.without?.[name] ?? missing(name);
  if (reason != null) return `| ${name} | ${reason} | | | | |`;
  const tally = await play(fault, name, intensity, { main });
  const { sent, wrong, late, longestMs } = tally;
  return `| ${name} | ${sent} | ${describeLost(tally)} | ${wrong} | ${late} | ${Math.round(longestMs)} ms |`;
}

function describeLost(tally: Tally): string {
  const kinds = Object.entries(tally.lost).map(([kind, count]) => `${count} x ${kind}`);
  return kinds.length === 0 ? '0' : `${lostOf(tally)} (${kinds.join(', ')})`;
}

function introduction(): string {
  const versions = [
    `Node ${process.versions.node}`,
    spawnSync(findProgram('nginx') ?? 'false', ['-v'], { encoding: 'utf8' }).stderr?.trim(),
    spawnSync(findProgram('haproxy') ?? 'false', ['-v'], { encoding: 'utf8' }).stdout?.split('\n')[0],
  ].filter(Boolean);
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  return `<!-- Written by npx node test/chaos/run.ts. -->
# Reliability: what faults cost

One script plays every fault against request-splitter, nginx and HAProxy under the same load: ${intensity.rate} requests a second
over kept connections, every fourth a POST, each with its own nonce. A request is *lost* if it gets no response or an error
status, *wrong* if it gets the response to another request, *late* if a good response takes more than a second. nginx and
HAProxy run with one process or thread, keep-alive to the upstream, and the retries that each offers for a failed connect and
an empty response. HAProxy also retries a POST, which a server may then execute twice; request-splitter and nginx lose it.
nginx avoids a server for ten seconds after one failure, so it meets few of the faults that occur every two seconds. A fault occurs ${intensity.times} times, two seconds apart, and faults with hostile clients have ${intensity.hostile} of them.

Counts differ by a few requests from run to run, because a request is lost if it is in flight at the moment of the fault.
The figures are from a single run on ${availableParallelism()} cores (${cpus()[0]?.model.trim()}, load ${loadBefore.toFixed(1)} before it), ${versions.join(', ')}, request-splitter ${version} at ${commit}.
`;
}
