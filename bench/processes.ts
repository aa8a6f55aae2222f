// Starts the processes of a bench run, pins them to cores if `taskset` is installed, ends them, and reads their
// cost from /proc: processor time and memory of a process and its children. Linux only. The only HTTP it knows is the
// check whether a port answers.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, closeSync, globSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Path of a program, undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  try {
    return execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

const taskset = findProgram('taskset');

/** Which core carries what; null where processes are not pinned. */
export const cores =
  taskset === undefined || availableParallelism() < 2
    ? null
    : { measured: 1, load: 0, upstream: availableParallelism() > 2 ? 2 : 0 };
type Role = 'measured' | 'load' | 'upstream';

/** Moves the bench itself to the load generator's core: it reads logs and /proc while others are measured. */
export function pinSelf(): void {
  if (taskset === undefined || cores === null) return;
  execFileSync(taskset, ['-a', '-p', '-c', String(cores.load), String(process.pid)], { stdio: 'ignore' });
}

/** A limit on processor time for the processes that are started in it. */
export interface Group {
  /** Its folder, where `cgroup.procs` takes the ids of processes. */
  readonly path: string;
  remove(): void;
}

interface Surroundings {
  /** Its stdout is a pipe that cat empties on the load generator's core; nothing of it is kept. */
  readonly isPiped?: boolean;
  readonly group?: Group | undefined;
}

/** A named pipe and who empties it. */
function openPipe(): { fd: number; reader: ChildProcess } {
  const path = join(scratchDirectory(), 'pipe');
  execFileSync('mkfifo', [path]);
  // Open for both directions, so that the writer neither waits for its reader nor fails before it is there.
  const fd = openSync(path, 'r+');
  const reader =
    cores === null
      ? spawn('cat', [path], { stdio: 'ignore' })
      : spawn(taskset as string, ['-c', String(cores.load), 'cat', path], { stdio: 'ignore' });
  return { fd, reader };
}

const running = new Set<Running>();

/** A child process whose output is kept for error messages. */
export class Running {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #output = '';
  #watchers: (() => void)[] = [];

  constructor(
    name: string,
    role: Role,
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    { isPiped = false, group }: Surroundings = {},
  ) {
    this.name = name;
    const pin = cores === null ? [] : [taskset as string, '-c', String(cores[role])];
    const join =
      group === undefined ? [] : ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', group.path];
    const [program, ...rest] = [...join, ...pin, command, ...args] as [string, ...string[]];
    const pipe = isPiped ? openPipe() : undefined;
    this.#child = spawn(program, rest, {
      env: { ...process.env, ...env },
      stdio: ['ignore', pipe?.fd ?? 'pipe', 'pipe'],
    });
    running.add(this);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-65_536);
        for (const watcher of this.#watchers) watcher();
      });
    }
    this.#ended = new Promise((resolve) => {
      const end = (code: number | null) => {
        running.delete(this);
        if (pipe !== undefined) {
          closeSync(pipe.fd);
          pipe.reader.kill();
        }
        group?.remove();
        resolve(code);
        for (const watcher of this.#watchers) watcher();
      };
      this.#child.on('error', (error) => {
        this.#output += error.message;
        end(-1);
      });
      this.#child.on('close', end);
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get output(): string {
    return this.#output;
  }

  get hasEnded(): boolean {
    return !running.has(this);
  }

  /** Resolves when the output has a line that equals `line`; rejects when the process ends before. */
  async until(line: string): Promise<void> {
    const there = () => this.#output.split('\n').includes(line);
    await new Promise<void>((resolve) => {
      const check = () => {
        if (there() || this.hasEnded) resolve();
      };
      this.#watchers.push(check);
      check();
    });
    if (!there()) throw new Error(`${this.name} ended before it said "${line}": ${this.#output}`);
  }

  /** Resolves with the output when the process has ended well; rejects with it otherwise. */
  async result(): Promise<string> {
    const code = await this.#ended;
    if (code !== 0) throw new Error(`${this.name} ended with ${code}: ${this.#output}`);
    return this.#output;
  }

  /**
   * Ends the process at once but in its own way (nginx takes its worker along, node writes its profile), by force
   * after 3 s, and waits until it is gone.
   */
  async stop(): Promise<void> {
    if (!this.hasEnded) this.#child.kill('SIGINT');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 3000);
    await this.#ended;
    clearTimeout(force);
  }
}

/** Ends whatever still runs. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((one) => one.stop()));
}

/** `count` ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Asks on the port until a 200 comes, and gives the milliseconds that it took; rejects when the process ends. */
export async function untilAnswering(process: Running, port: number, sinceMs: number): Promise<number> {
  const ask = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(`GET /small?token=start HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
      });
      socket.once('data', (chunk: Buffer) => {
        socket.destroy();
        resolve(chunk.toString('latin1', 0, 13) === 'HTTP/1.1 200 ');
      });
      socket.setTimeout(2000, () => socket.destroy());
      socket.on('error', () => resolve(false));
      socket.on('close', () => resolve(false));
    });
  const giveUpAt = sinceMs + 20_000;
  while (!(await ask())) {
    if (process.hasEnded) throw new Error(`${process.name} ended: ${process.output}`);
    if (performance.now() > giveUpAt) throw new Error(`${process.name} does not answer: ${process.output}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return performance.now() - sinceMs;
}

/** A process and all below it. */
function family(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const path of globSync('/proc/[0-9]*/stat')) {
    try {
      const stat = readFileSync(path, 'utf8');
      parents.set(Number.parseInt(stat, 10), Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ', 1)[0]));
    } catch {} // it ended between the listing and the reading
  }
  const found = [pid];
  for (let at = 0; at < found.length; at += 1) {
    for (const [child, parent] of parents) if (parent === found[at]) found.push(child);
  }
  return found;
}

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

const ofTicks = (ticks: number): number => (ticks * 1e6) / TICKS_PER_SECOND;

/** Fields of /proc/PID/stat after the name of the program. */
function statFields(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** User and system time in microseconds by /proc/PID/stat, which counts in ticks of 10 ms. */
function tickMicroseconds(pid: number): number {
  const fields = statFields(pid);
  return ofTicks(Number(fields[11]) + Number(fields[12]));
}

/** Processor time in microseconds of the children of this process that have ended. */
export function endedMicroseconds(): number {
  const fields = statFields(process.pid);
  return ofTicks(Number(fields[13]) + Number(fields[14]));
}

/** Processor time in microseconds since the machine began, by /proc/stat. */
export interface MachineTime {
  /** Of all programs and interrupts. */
  readonly used: number;
  /** What a virtual machine wanted and its neighbours had. */
  readonly stolen: number;
}

export function machineTime(): MachineTime {
  const [first = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = first
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { used: ofTicks(user + nice + system + irq + softirq), stolen: ofTicks(steal) };
}

/**
 * User and system time together, in microseconds, that a process, its threads and its children have used so far:
 * by the scheduler's own clock (/proc/PID/task/TID/schedstat, in nanoseconds) where the kernel keeps it.
 */
export function cpuMicroseconds(pid: number): number {
  let sum = 0;
  for (const one of family(pid)) {
    try {
      for (const path of globSync(`/proc/${one}/task/*/schedstat`)) {
        sum += Number.parseInt(readFileSync(path, 'utf8'), 10) / 1000;
      }
    } catch {
      sum += tickMicroseconds(one);
    }
  }
  return sum;
}

/** How often a process, its threads and its children have gone to sleep of themselves so far. */
export function sleepCount(pid: number): number {
  let sum = 0;
  for (const one of family(pid)) {
    for (const path of globSync(`/proc/${one}/task/*/status`)) {
      sum += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(path, 'utf8'))?.[1] ?? 0);
    }
  }
  return sum;
}

/** Resident memory of a process and its children in MiB. */
export function memoryMiB(pid: number): number {
  let sum = 0;
  for (const one of family(pid)) {
    const status = readFileSync(`/proc/${one}/status`, 'utf8');
    sum += Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
  }
  return sum;
}

/** Memory in MiB that a process and its children share with no other: what one more of them costs. */
export function privateMiB(pid: number): number {
  let sum = 0;
  for (const one of family(pid)) {
    const rollup = readFileSync(`/proc/${one}/smaps_rollup`, 'utf8');
    for (const [, kib] of rollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+)/gm)) sum += Number(kib) / 1024;
  }
  return sum;
}

const scratch = new Set<string>();
process.on('exit', () => {
  for (const path of scratch) rmSync(path, { recursive: true, force: true });
});

/** A directory for one process that is removed when the bench ends. */
export function scratchDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'request-splitter-bench-'));
  chmodSync(path, 0o755); // nginx's worker, which is another user, passes through it
  scratch.add(path);
  return path;
}

/** Descriptors that a process may have open: the hard limit, to which Node raises its own. */
export function descriptorLimit(): number {
  const [, limit = 'unlimited'] =
    /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}
