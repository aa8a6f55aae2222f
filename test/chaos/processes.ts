// Starts and ends the processes of the chaos suite, each by its own pid: upstreams, nginx, HAProxy.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import type { Mode } from './upstream-process.ts';

const UPSTREAM = join(import.meta.dirname, 'upstream-process.ts');
/** Connections that fill the accept queue of a black hole. */
const HOLE_FILLERS = 8;

/** Path of a program; undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  const { stdout } = spawnSync('/bin/sh', ['-c', `PATH="$PATH:/usr/sbin" command -v ${name}`], {
    encoding: 'utf8',
  });
  return stdout.trim() || undefined;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A child process that is killed with the suite at the latest. */
export class ChildProcessRun {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;

  /** `output`: where its stdout goes, a file or a pipe. */
  constructor(command: string, args: readonly string[], output: 'pipe' | 'ignore' | number = 'ignore') {
    this.child = spawn(command, args, { stdio: ['ignore', output, 'ignore'] });
    running.add(this.child);
    this.ended = once(this.child, 'exit').finally(() => running.delete(this.child));
  }

  get pid(): number {
    return this.child.pid!;
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.child.kill(signal);
    // A process that is frozen obeys nothing else.
    this.child.kill('SIGCONT');
    await this.ended;
  }
}

/** A server of the upstream: it keeps its port over kills and restarts. */
export class ServerProcess {
  readonly port: number;
  readonly #mode: Mode;
  #run: ChildProcessRun | null = null;
  readonly #fillers: Socket[] = [];

  private constructor(port: number, mode: Mode) {
    this.port = port;
    this.#mode = mode;
  }

  static async start(mode: Mode): Promise<ServerProcess> {
    const server = new ServerProcess(await freePort(), mode);
    await server.start();
    return server;
  }

  /** A port on which no process listens. */
  static async absent(): Promise<ServerProcess> {
    return new ServerProcess(await freePort(), 'good');
  }

  async start(): Promise<void> {
    const run = new ChildProcessRun(process.execPath, [UPSTREAM, String(this.port), this.#mode], 'pipe');
    this.#run = run;
    await Promise.race([
      once(run.child.stdout!, 'data'),
      run.ended.then(() => Promise.reject(new Error('no upstream'))),
    ]);
    if (this.#mode !== 'hole') return;
    for (let i = 0; i < HOLE_FILLERS; i++) {
      const filler = connect(this.port, '127.0.0.1');
      filler.on('error', () => filler.destroy());
      this.#fillers.push(filler);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#run?.child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    for (const filler of this.#fillers) filler.destroy();
    await this.#run?.stop(signal);
    this.#run = null;
  }
}

/** Processes whose parent is `pid`; none when it has ended. */
export function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  const text = existsSync(path) ? readFileSync(path, 'latin1').trim() : '';
  return text === '' ? [] : text.split(' ').map(Number);
}

/** Resolves once somebody accepts connections on the port; rejects when `ended` comes first. */
export async function accepting(port: number, ended: Promise<unknown>): Promise<void> {
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  while (!isOver) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the proxy ended before it accepted connections');
}
