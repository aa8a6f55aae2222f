// Parses the command line of `npm run bench`: words in, options or a problem out. Pure.
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Wishes } from './plan.ts';
import { RIVALS } from './rivals.ts';
import { SCENARIOS } from './scenarios.ts';

export type LoadTool = 'autocannon' | 'wrk';

/** A built program, and what a table calls it. */
export interface Build {
  readonly name: string;
  readonly main: string;
}

export interface Options {
  readonly help: boolean;
  readonly wishes: Wishes;
  /** Null: wrk where it is installed, or else autocannon. */
  readonly load: LoadTool | null;
  readonly starts: boolean;
  /** The splitter with many variants and routes. */
  readonly growth: boolean;
  /** The steps of an exchange, one by one. */
  readonly micro: boolean;
  /** Puts what was measured into bench/results.json, in place of the same parts of the run before. */
  readonly merge: boolean;
  /** Nothing but the soak. */
  readonly soakAlone: boolean;
  /** Nothing but TLS towards clients. */
  readonly tlsAlone: boolean;
  /** The builds that --tls measures. */
  readonly builds: readonly Build[];
  /** It measures all contenders at the same time, not in turns. */
  readonly isTogether: boolean;
  readonly soakMinutes: number;
  readonly json: string | null;
  /** Write bench/RESULTS.md, results.json and the charts. */
  readonly results: boolean;
  readonly profileTo: string | null;
}

const names = (all: readonly { name: string }[]) => all.map(({ name }) => name).join(' ');

/** The parts of a run that are no scenario. */
const OTHER_PARTS = ['starts', 'growth', 'micro'];
const PARTS = [...SCENARIOS, ...OTHER_PARTS.map((name) => ({ name }))];

export const HELP = `npm run bench -- [options]

  --quick               three scenarios, the main rivals, short turns: under two minutes
  --only A,B            only these parts: ${names(PARTS)}
  --merge               put them into bench/results.json, in place of what the run before has of them, and write
                        bench/RESULTS.md again
  --rivals A,B          only these: ${names(RIVALS)}
  --load autocannon|wrk load generator (default wrk where it is installed; a fixed rate has one of its own)
  --rounds N            turns of each contender in each scenario (default 5, 7 or 9 where differences are small)
  --seconds N           length of a turn (default 2)
  --soak MINUTES        only this: the splitter under changing load, its memory over time
  --tls                 only this: handshakes and requests over TLS beside nginx and bare node:tls servers
  --main FILE           with --tls: a build to measure (default dist/main.js), or several as NAME=FILE, in turns
  --together            with --tls: only kept connections, everybody at the same time, on one core: on a machine that
                        others use, too, what they do meets all contenders alike
  --profile FOLDER      CPU profiles of request-splitter there, for chrome://inspect or speedscope; what is
                        measured meanwhile costs more
  --json FILE           write the results there
  --results             write bench/RESULTS.md and its charts (a run of everything does)

  node bench/compare.ts --help compares builds of the splitter with each other
`;

class Wrong extends Error {}

/** The named ones of a list, null when none were named. Throws Wrong. */
export function choose<T extends { name: string }>(all: readonly T[], given: string | undefined): T[] | null {
  if (given === undefined) return null;
  if (given === 'none') return [];
  return given.split(',').map((name) => {
    const found = all.find((one) => one.name === name);
    if (found === undefined) throw new Wrong(`expected one of ${names(all)}, got ${name}`);
    return found;
  });
}

/** A number above 0, null when none was given. Throws Wrong. */
export function positive(flag: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!(value > 0)) throw new Wrong(`${flag}: expected a number above 0, got ${text}`);
  return value;
}

/** The load generator by its name. Throws Wrong. */
export function loadTool(text: string): LoadTool {
  if (text === 'wrk' || text === 'autocannon') return text;
  throw new Wrong(`--load: expected autocannon or wrk, got ${text}`);
}

/** "FILE" or "NAME=FILE". */
function buildOf(text: string, isOnly: boolean): Build {
  const at = text.indexOf('=');
  const name = at < 0 ? (isOnly ? 'request-splitter' : text) : text.slice(0, at);
  return { name, main: resolve(text.slice(at + 1)) };
}

function read(args: readonly string[]): Options {
  const { values: flags } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      merge: { type: 'boolean', default: false },
      rivals: { type: 'string' },
      load: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      soak: { type: 'string' },
      tls: { type: 'boolean', default: false },
      main: { type: 'string', multiple: true, default: [join(import.meta.dirname, '..', 'dist', 'main.js')] },
      together: { type: 'boolean', default: false },
      profile: { type: 'string' },
      json: { type: 'string' },
      results: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const only = choose(PARTS, flags.only);
  const has = (part: string) => only?.some(({ name }) => name === part);
  const isAll = flags.only === undefined && flags.rivals === undefined;
  const isWhole = isAll && !flags.quick && flags.profile === undefined;
  const soak = positive('--soak', flags.soak);
  return {
    help: flags.help,
    wishes: {
      quick: flags.quick,
      scenarios: only === null ? null : SCENARIOS.filter((scenario) => only.includes(scenario)),
      rivals: choose(RIVALS, flags.rivals),
      rounds: positive('--rounds', flags.rounds),
      seconds: positive('--seconds', flags.seconds),
    },
    load: flags.load === undefined ? null : loadTool(flags.load),
    starts: has('starts') ?? true,
    growth: has('growth') ?? isWhole,
    micro: has('micro') ?? isWhole,
    merge: flags.merge,
    soakAlone: soak !== null,
    tlsAlone: flags.tls,
    builds: flags.main.map((text) => buildOf(text, flags.main.length === 1)),
    isTogether: flags.together,
    soakMinutes: soak ?? 0,
    json: flags.json ?? null,
    results: flags.results || (isWhole && soak === null && !flags.tls),
    profileTo: flags.profile === undefined ? null : resolve(flags.profile),
  };
}

/** Runs what throws for bad words; a sentence in place of its result then. */
export function orProblem<T>(work: () => T): T | { readonly problem: string } {
  try {
    return work();
  } catch (error) {
    const isExpected =
      error instanceof Wrong || String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
    if (!isExpected) throw error;
    return { problem: (error as Error).message };
  }
}

/** The options, or a sentence that says what was wrong. */
export const readOptions = (args: readonly string[]): Options | { readonly problem: string } =>
  orProblem(() => read(args));
