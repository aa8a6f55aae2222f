// The options that every command on a configuration shares, and reading a Config from them. Names, variables and
// sentences come from config/env; here they only become commander's.

import { type Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { SETTINGS, type Setting } from '../config/env.ts';
import { warningLines } from '../config/findings.ts';
import { type Loaded, loadConfig } from '../config/load.ts';
import type { Config } from '../config/options/document.ts';
import { parseInstant, TIME_EXPECTED } from '../config/options/experiment.ts';
import type { SplitConfig } from '../config/options/split.ts';
import { showGot } from '../config/problem.ts';
import { wallClock } from '../wall-clock.ts';
import { printProblems } from './problems.ts';
import type { Terminal } from './terminal.ts';

/** What commander gives for the shared options. */
export type ConfigFlags = { [setting in Setting]?: string };

/** The settings that say which split it is, for a command that opens no port. */
export const SPLIT_SETTINGS = ['config', 'nginx', 'key', 'split'] as const satisfies readonly Setting[];

/** Adds --config, --listen, --admin, --key and --split (or only those named) to a command. */
export function addConfigOptions(
  command: Command,
  settings: readonly Setting[] = Object.keys(SETTINGS) as Setting[],
): Command {
  for (const setting of settings) {
    const { flag, argument, doc, variable } = SETTINGS[setting];
    command.addOption(new Option(`${flag} <${argument}>`, `${doc} (environment: ${variable})`));
  }
  return command;
}

/** Adds --at to a command that decides. */
export function addTimeOption(command: Command): Command {
  return command.option(
    '--at <TIME>',
    'decide as at this time, like 2026-12-01T09:00Z, instead of now',
    (text) => {
      const time = parseInstant(text);
      if (time !== undefined) return time;
      throw new InvalidArgumentError(`expected ${TIME_EXPECTED}.`);
    },
  );
}

/** The clock of a command: the time of --at, or that of now. */
export function commandClock({ at }: { readonly at?: number | undefined }): () => number {
  return at === undefined ? wallClock : () => at;
}

/**
 * Reads the configuration for a command that needs one: prints every problem and ends with exit code 1; warnings go to
 * standard error too.
 */
export async function loadOrEnd(
  flags: ConfigFlags,
  terminal: Terminal,
): Promise<Loaded & { config: Config }> {
  const loaded = await loadConfig({ flags, environment: terminal.environment });
  if (loaded.problems === undefined) {
    for (const warning of warningLines(loaded.findings)) terminal.writeErr(`warning: ${warning}\n`);
    return loaded;
  }
  printProblems(terminal, loaded.problems);
  throw new CommanderError(1, 'request-splitter.notGood', '');
}

/** The split that a command is about: the named one, or the only one. Ends with exit code 2 when that is not clear. */
export function splitOrEnd(
  config: Config,
  name: string | undefined,
  command: Command,
): [string, SplitConfig] {
  const names = [...config.splits.keys()];
  const chosen = name ?? (names.length === 1 ? names[0] : undefined);
  const split = chosen === undefined ? undefined : config.splits.get(chosen);
  if (chosen !== undefined && split !== undefined) return [chosen, split];
  const known =
    names.length === 0 ? 'a split, but the configuration has none' : `one of the splits ${names.join(', ')}`;
  return command.error(`error: --of: expected ${known}, got ${showGot(name)}`, { exitCode: 2 });
}
