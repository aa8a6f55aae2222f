// The options that every command on a configuration shares, and the one way from them to a Config. Names, variables
// and sentences come from config/env; here they only become commander's. The key check is composed in.

import { type Command, Option } from 'commander';
import { SETTINGS, type Setting } from '../config/env.ts';
import type { CheckKey } from '../config/link.ts';
import { type Loaded, loadConfig, type Wishes } from '../config/load.ts';
import { compileKey } from '../split/key.ts';

/** What commander gives for the shared options. */
export type ConfigFlags = { [setting in Setting]?: string };

/** The key check that the configuration room takes: the split room's own compiler. */
export const checkKey: CheckKey = (text) => {
  const compiled = compileKey(text);
  return 'error' in compiled ? compiled : null;
};

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

/** What the user asked for by flags and by the given environment. */
export function wishesFrom(flags: ConfigFlags, environment: NodeJS.ProcessEnv = process.env): Wishes {
  const known = Object.keys(SETTINGS) as Setting[];
  return { flags: Object.fromEntries(known.map((setting) => [setting, flags[setting]])), environment };
}

/** Reads the configuration that the flags and the environment ask for, keys checked. */
export function loadFromFlags(
  flags: ConfigFlags,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Loaded> {
  return loadConfig(wishesFrom(flags, environment), { checkKey });
}
