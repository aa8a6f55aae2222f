#!/usr/bin/env node
// The process: argv in, exit code out. The only file that touches signals and exit; everything else is told through
// the Terminal. The program is imported after the compile cache is on, so that its modules are taken from there.

import { enableCompileCache } from 'node:module';
import type { Terminal } from './cli/terminal.ts';
import { WORKER_ARGUMENT } from './workers/messages.ts';

enableCompileCache();

const terminal: Terminal = {
  environment: process.env,
  writeOut: (text) => void process.stdout.write(text),
  writeErr: (text) => void process.stderr.write(text),
  showProgress: process.stderr.isTTY ? (text) => void process.stderr.write(`\r\x1b[K${text}`) : undefined,
  // Opened by the command that reads it, and by no other.
  get input() {
    return process.stdin;
  },
  onSignal(listener) {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP'] as const) {
      process.on(signal, () => listener(signal));
    }
  },
};

// A reader that went away (`request-splitter --help | head -1`) is no fault, and nobody is left to tell.
process.stdout.on('error', (cause: NodeJS.ErrnoException) => {
  if (cause.code === 'EPIPE') process.exit(0);
  throw cause;
});

const code = await run(process.argv.slice(2));
// What was written to a pipe may still be on its way.
process.stdout.write('', () => process.exit(code));

/** The command line; or, in a process that the primary of `workers: N` started, its worker, which needs little of the program. */
async function run(argv: readonly string[]): Promise<number> {
  if (argv[0] === WORKER_ARGUMENT && process.channel !== undefined) {
    const { runWorker } = await import('./workers/worker.ts');
    return runWorker(() => terminal.onSignal(() => undefined));
  }
  const { runProgram } = await import('./cli/program.ts');
  return runProgram(argv, terminal);
}
