// `healthcheck`: asks the admin port's /readyz and answers with the exit code, so that an image without curl can check
// itself (Docker's HEALTHCHECK, an exec probe). It finds the port where `serve` finds it: flags, environment, file.
// main.ts asks without this command, and without all that it loads, where it is called without flags.

import { Command, CommanderError } from 'commander';
import { loadConfig } from '../config/load.ts';
import { formatProblems } from '../config/problem.ts';
import { addConfigOptions, type ConfigFlags } from './options.ts';
import { askReadiness } from './readiness.ts';
import type { Terminal } from './terminal.ts';

/** The command, ready to be added to the program. */
export function healthcheckCommand(terminal: Terminal): Command {
  const command = new Command('healthcheck')
    .summary('ask a running splitter whether it is ready')
    .description(
      'Asks /readyz of the admin port that serve opens with the same flags, environment and file. Exit code 0 if it is ready, 1 if it is not or does not answer within two seconds.',
    );
  return addConfigOptions(command).action(async (flags: ConfigFlags) => {
    const loaded = await loadConfig({ flags, environment: terminal.environment });
    const problem =
      loaded.problems === undefined
        ? await askReadiness(loaded.config.admin)
        : formatProblems(loaded.problems).join('\n');
    if (problem === null) return;
    terminal.writeErr(`${problem}\n`);
    throw new CommanderError(1, 'request-splitter.notReady', '');
  });
}
