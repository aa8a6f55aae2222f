#!/usr/bin/env node
// The process: argv in, exit code out. The only file that touches signals and exit; everything else goes through the
// Terminal. It imports nothing but types at its top: an older Node must get as far as the sentence below, and the
// program's modules come from the compile cache, which has to be on first.

import type { Terminal } from './cli/terminal.ts';

/** The oldest Node that the program runs on: `engines` of package.json names it for the program's own development. */
const NODE_MAJOR_MIN = 24;

if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
  process.stderr.write(
    `request-splitter needs Node ${NODE_MAJOR_MIN} or newer, this is v${process.versions.node}\n`,
  );
  process.exit(1);
}
process.getBuiltinModule('node:module').enableCompileCache();

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
  if (process.channel !== undefined && argv[0] === (await import('./workers/messages.ts')).WORKER_ARGUMENT) {
    const { runWorker } = await import('./workers/worker.ts');
    return runWorker(() => terminal.onSignal(() => undefined));
  }
  const { runProgram } = await import('./cli/program.ts');
  return runProgram(argv, terminal);
}
