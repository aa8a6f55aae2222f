// `fleet`: asks every pod behind a name what it has counted and says what all of them together show. Once with an exit code
// for scripts, again and again for a person, or as a server with the page and metrics of the wholeText.

import { setTimeout as sleep } from 'node:timers/promises';
import { Command, CommanderError, Option } from 'commander';
import type { StatusV1 } from '../admin/status.ts';
import { type ListenAddress, parseListen } from '../config/listen-address.ts';
import { LISTEN_EXPECTED } from '../config/options/addresses.ts';
import { type FleetName, parseFleetName } from '../fleet/addresses.ts';
import { Fleet, serveFleet } from '../fleet/server.ts';
import type { Signal } from '../service/service.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

const INTERVAL_DEFAULT = '10s';
const INTERVAL_MIN_SECONDS = 1;
const INTERVAL_MAX_SECONDS = 3600;
/** Time between two questions for guards, where there are any, and where there are none. */
const GUARDS_MS = 3000;
const NO_GUARDS_MS = 10_000;

interface FleetFlags {
  readonly json?: true;
  readonly watch?: true;
  readonly listen?: string;
  readonly interval: string;
  readonly state?: string;
}

/** The command, ready to be added to the program. */
export function fleetCommand(terminal: Terminal): Command {
  return new Command('fleet')
    .summary('add up what all replicas have counted')
    .description(
      'Asks the admin port of every address that NAME has, like a headless Service, and adds up what the pods have counted: a key that came to several pods is one key. Exit code 1 if a split must be stopped or no pod answers.',
    )
    .argument('<NAME...>', 'name or address with a port, like frontend-splitter:9901 (the default port)')
    .option('--json', 'print what /status of --listen answers')
    .option('--watch', 'ask and print again and again')
    .option('--listen <ADDRESS>', 'serve the page, /status and /metrics of the fleet, like :9902')
    .addOption(
      new Option(
        '--interval <SECONDS>',
        'time between two questions of --watch and --listen, like 10s',
      ).default(INTERVAL_DEFAULT),
    )
    .option(
      '--state <FILE>',
      'keep alarms in this file, so that a process that is started again has them, like /var/lib/fleet/alarms.json',
    )
    .action(async (names: readonly string[], flags: FleetFlags) => {
      const code = await runFleet(names, flags, terminal);
      if (code !== 0) throw new CommanderError(code, 'request-splitter.ended', '');
    });
}

const WRONG_FLAGS = 2;

async function runFleet(names: readonly string[], flags: FleetFlags, terminal: Terminal): Promise<number> {
  const targets: FleetName[] = [];
  const wrong = (what: string, expected: string, got: string) => {
    terminal.writeErr(`request-splitter: ${what}: expected ${expected}, got ${JSON.stringify(got)}\n`);
    return WRONG_FLAGS;
  };
  for (const name of names.flatMap((one) => one.split(','))) {
    const target = parseFleetName(name);
    if (target === undefined)
      return wrong('NAME', 'a name or address like frontend-splitter:9901 or [::1]:9901', name);
    targets.push(target);
  }
  const seconds = Number(flags.interval.replace(/s$/, ''));
  if (!(seconds >= INTERVAL_MIN_SECONDS && seconds <= INTERVAL_MAX_SECONDS)) {
    const expected = `seconds from ${INTERVAL_MIN_SECONDS} to ${INTERVAL_MAX_SECONDS}`;
    return wrong('--interval', expected, flags.interval);
  }
  if (flags.state === '') return wrong('--state', 'the path of a file', flags.state);
  const address = flags.listen === undefined ? null : parseListen(flags.listen);
  if (address === undefined) return wrong('--listen', LISTEN_EXPECTED, flags.listen!);
  const fleet = new Fleet(names.join(', '), targets, flags.state ?? null);
  const ended = Promise.withResolvers<Signal>();
  const stop = new AbortController();
  terminal.onSignal((signal) => {
    if (signal === 'SIGHUP' || signal === 'SIGUSR1') return;
    stop.abort();
    ended.resolve(signal);
  });
  if (address !== null) return listenAndAsk(fleet, address, seconds, stop.signal, ended.promise, terminal);
  if (flags.watch === true) return watch(fleet, flags.json === true, seconds, stop.signal, terminal);
  const isAsked = await Promise.race([fleet.ask().then(() => true), ended.promise.then(() => false)]);
  if (!isAsked) return 1;
  const status = statusOf(fleet);
  terminal.writeOut(
    flags.json === true ? `${JSON.stringify(status, null, 2)}\n` : `${fleetLines(status).join('\n')}\n`,
  );
  return codeOf(status);
}

async function listenAndAsk(
  fleet: Fleet,
  address: ListenAddress,
  seconds: number,
  signal: AbortSignal,
  ended: Promise<Signal>,
  terminal: Terminal,
): Promise<number> {
  try {
    const server = await serveFleet(fleet, address);
    terminal.writeErr(`request-splitter: the fleet ${fleet.name} is at ${server.address}\n`);
    void askAgain(fleet, seconds, signal, () => undefined);
    void askGuardsAgain(fleet, signal);
    await ended;
    await server.close();
    return 0;
  } catch (cause) {
    terminal.writeErr(`request-splitter: --listen: ${(cause as Error).message}\n`);
    return 1;
  }
}

async function watch(
  fleet: Fleet,
  isJson: boolean,
  seconds: number,
  signal: AbortSignal,
  terminal: Terminal,
): Promise<number> {
  let code = 1;
  await askAgain(fleet, seconds, signal, () => {
    const status = statusOf(fleet);
    code = codeOf(status);
    const clock = new Date().toISOString();
    terminal.writeOut(
      isJson ? `${JSON.stringify(status)}\n` : `${clock}\n${fleetLines(status).join('\n')}\n\n`,
    );
  });
  return code;
}

/** Until the signal is aborted. A round that takes longer than the interval delays the next one. */
async function askAgain(
  fleet: Fleet,
  seconds: number,
  signal: AbortSignal,
  asked: () => void,
): Promise<void> {
  while (!signal.aborted) {
    const begin = performance.now();
    await fleet.ask();
    if (signal.aborted) return;
    asked();
    const rest = Math.max(0, seconds * 1000 - (performance.now() - begin));
    await sleep(rest, undefined, { signal }).catch(() => undefined);
  }
}

/** Guards are judged by their own, shorter interval: a stop is a matter of seconds. */
async function askGuardsAgain(fleet: Fleet, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const hasGuards = await fleet.askGuards();
    await sleep(hasGuards ? GUARDS_MS : NO_GUARDS_MS, undefined, { signal }).catch(() => undefined);
  }
}

function statusOf(fleet: Fleet): StatusV1 {
  return JSON.parse(JSON.stringify(fleet.describe())) as StatusV1;
}

/** 1 if a split must be stopped or no pod answers. */
function codeOf({ splits, fleet }: StatusV1): number {
  return (fleet?.answering ?? 0) === 0 || splits.some((split) => split.verdict.level === 'stop') ? 1 : 0;
}

const percentText = (ratio: number | null) => (ratio === null ? '-' : `${(ratio * 100).toFixed(2)} %`);
const wholeText = (count: number) => Math.round(count).toLocaleString('en-US');

function fleetLines({ fleet, splits }: StatusV1): string[] {
  const { name, pods, answering, hashes, problems } = fleet!;
  const configurations =
    hashes.length === 1 ? `configuration ${hashes[0]}` : `${hashes.length} configurations`;
  const lines = [`fleet ${name}: ${answering} of ${pods.length} pods answer, ${configurations}`];
  lines.push(...problems.map((problem) => `  ${problem}`));
  for (const split of splits) {
    const keys = split.variants.reduce((sum, { uniqueKeys }) => sum + uniqueKeys, 0);
    lines.push('', `split ${split.name}: ${split.verdict.state}: ${split.verdict.sentence}`);
    for (const { present, sentence } of split.verdict.alarms) {
      if (sentence !== split.verdict.sentence) lines.push(`  ${present ? '' : 'before: '}${sentence}`);
    }
    lines.push(`  since ${split.sample.since}`);
    const rows = split.variants.map(({ name, shareRatio, uniqueKeys, sample }) => [
      `  ${name}`,
      percentText(shareRatio),
      percentText(keys === 0 ? null : uniqueKeys / keys),
      wholeText(uniqueKeys),
      percentText(sample.errorRatio),
      wholeText(sample.failedKeys),
      wholeText(sample.requests),
    ]);
    const heads = ['  variant', 'share', 'observed', 'users', 'users hit', 'hit', 'requests'];
    lines.push(...table([heads, ...rows], [1, 2, 3, 4, 5, 6]));
  }
  const podRows = pods.map(({ address, pod, state, problem, generation, hash, requests, troubles }) => [
    `  ${address}`,
    pod ?? '-',
    problem === null ? state : `${state}: ${problem}`,
    generation === null ? '-' : `${generation}`,
    hash ?? '-',
    wholeText(requests),
    troubles.join('; '),
  ]);
  lines.push(
    '',
    ...table([['  pod', 'name', 'state', 'generation', 'configuration', 'requests'], ...podRows], [5]),
  );
  return lines;
}
