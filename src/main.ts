#!/usr/bin/env node
// The process: argv in, exit code out. The only file that touches signals and exit; everything else goes through the
// Terminal. It imports nothing but types at its top: an older Node must get as far as the sentence below, and the
// program's modules come from the compile cache, which has to be on first.

import type { Terminal } from './cli/terminal.ts';
import type { Signal } from './service/service.ts';

/** The oldest Node that the program runs on: package.json names it in its engines, for development. */
const NODE_MAJOR_MIN = 24;

if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR_MIN) {
  process.stderr.write(
    `request-splitter needs Node ${NODE_MAJOR_MIN} or newer, this is v${process.versions.node}\n`,
  );
  process.exit(1);
}

const [command = ''] = process.argv.slice(2);
/** 'worker' is WORKER_ARGUMENT of workers/messages.ts, which cannot be imported before the signals are taken. */
const isWorker = command === 'worker' && process.channel !== undefined;
/** Signals end all other commands as they end any program. */
const isService =
  isWorker || command === '' || command.startsWith('-') || /^(?:serve|demo|fleet)$/.test(command);

// Signals come first: until a listener is there, each has its default action, which ends the process, or, as the first
// process of a container, is none at all.
const early = new Set<Signal>();
let heard: ((signal: Signal) => void) | null = isWorker ? () => undefined : null;
// Node's default for SIGUSR1 opens the debugger, through which anyone who reaches its port runs any code.
process.on('SIGUSR1', () => hear('SIGUSR1'));
refuseDebugger();
setTimeout(refuseDebugger, 100).unref();
if (isService) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGHUP'] as const) {
    process.on(signal, () => hear(signal));
  }
  process.on('SIGUSR2', () => undefined);
  // On a terminal the job control of its user counts.
  if (!process.stdout.isTTY) process.on('SIGTTOU', () => undefined).on('SIGTTIN', () => undefined);
}

function hear(signal: Signal): void {
  if (heard !== null) heard(signal);
  else if (signal === 'SIGHUP' || signal === 'SIGUSR1') early.add(signal);
  else process.exit(0); // Nothing has been opened that would have to be drained.
}

/** Closes a debugger that a SIGUSR1 opened before the first line above ran. */
function refuseDebugger(): void {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  // Asked for, or impossible: then the module, which takes part of a start, is not loaded.
  if (/--inspect(?:-brk|-wait)?(?![\w-])|--disable-sigusr1(?![\w-])/.test(options)) return;
  const inspector = process.getBuiltinModule('node:inspector');
  if (inspector.url() !== undefined) inspector.close();
}

process.getBuiltinModule('node:module').enableCompileCache();
// Read when the first thread of libuv's pool starts, which none has yet. Half of it may look names up at once: names that
// hang must not keep the others waiting (upstream/lookups.ts).
process.env.UV_THREADPOOL_SIZE ??= '64';

const terminal: Terminal = {
  environment: process.env,
  writeOut: (text) => void process.stdout.write(text),
  writeErr: (text) => void process.stderr.write(text),
  showProgress: process.stderr.isTTY ? (text) => void process.stderr.write(`\r\x1b[K${text}`) : undefined,
  get hasColors() {
    return process.stderr.isTTY && process.stderr.hasColors();
  },
  get columns() {
    return process.stdout.isTTY ? process.stdout.columns : undefined;
  },
  loadThread: import.meta.url.replace(/main\.(js|ts)$/, 'load-thread.$1'),
  // Opened by the command that reads it, and by no other.
  get input() {
    return process.stdin;
  },
  onSignal(listener) {
    heard = listener;
    for (const signal of early) listener(signal);
    early.clear();
  },
};

// The log of `serve` has an output of its own (telemetry/log-device.ts); this is what commands print.
process.stdout.on('error', outputFailed);
function outputFailed(cause: NodeJS.ErrnoException): void {
  // A terminal that went away has no size.
  if (cause.syscall === 'getWindowSize') return;
  // A reader that went away (`request-splitter --help | head -1`) is no fault, and nobody is left to tell.
  if (cause.code === 'EPIPE') process.exit(0);
  process.stderr.write(`request-splitter: cannot write to stdout: ${cause.message}\n`);
  process.exit(1);
}
// There is no other place that could say so.
process.stderr.on('error', () => undefined);

const code = await run(process.argv.slice(2));
const { errored } = process.stdout;
if (errored !== null && code === 0) outputFailed(errored);
// What was written to a pipe may still be on its way.
if (process.stdout.writableLength === 0) process.exit(code);
process.stdout.write('', () => process.exit(code));

/**
 * The command line; or what needs little of the program: in a process that the primary of `workers: N` started, its
 * worker; and the health check of an image.
 */
async function run(argv: readonly string[]): Promise<number> {
  if (isWorker) {
    const { runWorker } = await import('./workers/worker.ts');
    return runWorker();
  }
  if (command === 'healthcheck' && argv.length === 1) {
    const { askReadiness, findAdmin } = await import('./cli/readiness.ts');
    const admin = findAdmin(process.env);
    if (admin !== undefined) {
      const problem = await askReadiness(admin);
      if (problem !== null) terminal.writeErr(`${problem}\n`);
      return problem === null ? 0 : 1;
    }
  }
  const { runProgram } = await import('./cli/program.ts');
  return runProgram(argv, terminal);
}
