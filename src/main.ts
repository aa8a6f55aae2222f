#!/usr/bin/env node
// The process: argv in, exit code out. The only file that touches signals and exit; everything else is told through
// the Terminal. The program is imported after the compile cache is on, so that its modules are taken from there.

import { enableCompileCache } from 'node:module';
import type { Terminal } from './cli/terminal.ts';

enableCompileCache();
const { runProgram } = await import('./cli/program.ts');

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

const code = await runProgram(process.argv.slice(2), terminal);
// What was written to a pipe may still be on its way.
process.stdout.write('', () => process.exit(code));
