// `healthcheck`: asks the admin port's /readyz and answers with the exit code, so that an image without curl can check
// itself (Docker's HEALTHCHECK, an exec probe). It finds the port where `serve` finds it: flags, environment, file.

import { Command, CommanderError } from 'commander';
import { formatProblems } from '../config/problem.ts';
import type { ListenAddress } from '../config/schema.ts';
import { addConfigOptions, type ConfigFlags, loadFromFlags } from './options.ts';
import type { Terminal } from './terminal.ts';

const TIMEOUT_MS = 2000;
const SENTENCE_LENGTH_MAX = 65_536;

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
  const origin = originOf(admin);
  try {
    const { status, sentence } = await getReadiness(origin, admin.path);
    return status === 200 ? null : sentence;
  } catch (cause) {
    return `${origin} does not answer: ${(cause as Error).message}`;
  }
}

/** By node:http: an HTTP client of its own would cost more to load than the rest of the command. */
async function getReadiness(
  origin: string,
  socketPath: string | null,
): Promise<{ readonly status: number | undefined; readonly sentence: string }> {
  const { get } = await import('node:http');
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  return new Promise((resolve, reject) => {
    const asked = get(`${origin}/readyz`, {
      agent: false,
      signal: timeout,
      ...(socketPath && { socketPath }),
    });
    asked.on('error', (cause) =>
      reject(timeout.aborted ? new Error(`no answer within ${TIMEOUT_MS / 1000} s`) : cause),
    );
    asked.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        // Longer ones than a list of upstreams in trouble are no answer of ours.
        if (text.length < SENTENCE_LENGTH_MAX) text += part;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, sentence: text.trim() }));
    });
  });
}

/** Where an address that is listened on can be reached from here: "every address" through loopback. */
function originOf({ host, port, path }: ListenAddress): string {
  if (path !== null || host === null || host === '0.0.0.0')
    return `http://127.0.0.1${path === null ? `:${port}` : ''}`;
  if (host === '::') return `http://[::1]:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
