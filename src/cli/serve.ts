// `serve`, the default command: reads its options, loads the configuration and runs the service on it. What stops the
// start is one sentence on stderr. Where the configuration is refused, the last accepted one runs if it was kept.

import { Command, CommanderError, Option } from 'commander';
import { type LoadRequest, loadConfig } from '../config/load.ts';
import { formatProblems } from '../config/problem.ts';
import { isSameFile, loadLastGood } from '../service/last-good.ts';
import { runService, type ServiceStart } from '../service/service.ts';
import { keepYoungGenerationSmall } from '../young-generation.ts';
import { addConfigOptions, type ConfigFlags } from './options.ts';
import { printProblems } from './problems.ts';
import type { Terminal } from './terminal.ts';

const LAST_GOOD = {
  flag: '--last-good <FILE>',
  variable: 'LAST_GOOD',
  doc: 'keep the last accepted configuration in this file, and start with it if the given one is refused',
} as const;

/** The command, ready to be added to the program. */
export function serveCommand(terminal: Terminal): Command {
  const command = new Command('serve')
    .summary('run the splitter (the default command)')
    .description(
      'Forwards each request to the variant that its key belongs to. SIGTERM and SIGQUIT drain; a second one, or SIGINT (Ctrl-C), exits at once. A changed file is used without a signal; SIGHUP reads it again at once and reopens log files, SIGUSR1 only reopens them.',
    );
  const { flag, doc, variable } = LAST_GOOD;
  addConfigOptions(command).addOption(new Option(flag, `${doc} (environment: ${variable})`));
  return command.action(async (flags: ServeFlags) => {
    const code = await serve(flags, terminal);
    if (code !== 0) throw new CommanderError(code, 'request-splitter.ended', '');
  });
}

/** The shared options, and where the last accepted configuration is kept. */
interface ServeFlags extends ConfigFlags {
  readonly lastGood?: string;
}

/** Runs until a signal ends it; the exit code: 0 drained or ended, 1 did not start or was cut while draining. */
async function serve({ lastGood, ...flags }: ServeFlags, terminal: Terminal): Promise<number> {
  keepYoungGenerationSmall();
  const { environment } = terminal;
  const request: LoadRequest = { flags, environment };
  const kept = lastGood ?? (environment[LAST_GOOD.variable] || null);
  const loaded = await loadConfig(request);
  if (kept !== null && isSameFile(kept, loaded)) {
    terminal.writeErr(
      `request-splitter: --last-good: expected another file than the configuration, got ${kept}\n`,
    );
    return 1;
  }
  const start: ServiceStart = { request, kept, refused: null };
  const ended =
    loaded.problems === undefined
      ? await runService(loaded, start, terminal)
      : formatProblems(loaded.problems);
  if (typeof ended === 'number') return ended;
  if (kept !== null) {
    const found = await loadLastGood(kept, loaded, request);
    if ('got' in found) {
      terminal.writeErr(
        `request-splitter: --last-good ${kept}: expected the last accepted configuration, got ${found.got}\n`,
      );
    } else if (found.problems === undefined) {
      const again = await runService(found, { ...start, refused: ended }, terminal);
      if (typeof again === 'number') return again;
    }
  }
  if (loaded.problems === undefined) terminal.writeErr(`${ended.join('\n')}\n`);
  else printProblems(terminal, loaded.problems);
  return 1;
}
