// `healthcheck`: asks the admin port's /readyz and answers with the exit code, so that an image without curl can check
// itself (Docker's HEALTHCHECK, an exec probe). It finds the port where `serve` finds it: flags, environment, file.

import { Command, CommanderError } from 'commander';
import { formatProblems } from '../config/problem.ts';
import type { ListenAddress } from '../config/schema.ts';
import { addConfigOptions, type ConfigFlags, loadFromFlags } from './options.ts';
import type { Terminal } from './terminal.ts';

const TIMEOUT_MS = 2000;

/** The command, ready to be added to the program. */
export function healthcheckCommand(terminal: Terminal): Command {
  const command = new Command('healthcheck')
    .summary('ask a running splitter whether it is ready')
    .description(
      'Asks /readyz of the admin port that the same flags, environment and file would open. Exit code 0 when it is ready, 1 when it is not or does not answer within two seconds.',
    );
  return addConfigOptions(command).action(async (flags: ConfigFlags) => {
    const loaded = await loadFromFlags(flags, terminal.environment);
    const problem =
      loaded.problems === undefined
        ? await ask(loaded.config.admin)
        : formatProblems(loaded.problems).join('\n');
    if (problem === null) return;
    terminal.writeErr(`${problem}\n`);
    throw new CommanderError(1, 'request-splitter.notReady', '');
  });
}

/** Null when it is ready, else why not. */
async function ask(admin: ListenAddress | null): Promise<string | null> {
  if (admin === null) return 'the admin port is off: expected an address, got admin: off';
  // Loaded here because no other command needs it, and `serve` starts faster without.
  const { Agent, request } = await import('undici');
  const socket = admin.path === null ? {} : { socketPath: admin.path };
  const dispatcher = new Agent({ connect: { timeout: TIMEOUT_MS, ...socket } });
  try {
    const { statusCode, body } = await request(`${originOf(admin)}/readyz`, {
      dispatcher,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
    const sentence = (await body.text()).trim();
    return statusCode === 200 ? null : sentence;
  } catch (cause) {
    return `${originOf(admin)} does not answer: ${(cause as Error).message}`;
  } finally {
    await dispatcher.close();
  }
}

/** Where an address that is listened on can be reached from here: "every address" through loopback. */
function originOf({ host, port, path }: ListenAddress): string {
  if (path !== null || host === null || host === '0.0.0.0')
    return `http://127.0.0.1${path === null ? `:${port}` : ''}`;
  if (host === '::') return `http://[::1]:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
