// The program as a process: starts it, waits for its lines, sends it signals, returns its exit code. It starts the program
// that was built once for the run (build-program.ts), unless a test asks for the sources.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { inject } from 'vitest';

const SOURCE = new URL('../../src/main.ts', import.meta.url).pathname;

/** How the process is started. */
export interface ProgramOptions {
  readonly readsOutput?: boolean;
  /** A descriptor to use as stdout; its lines are then the test's to read. */
  readonly stdout?: 'pipe' | number;
  /** Words before the command: a program that changes something and executes the rest. */
  readonly wrap?: readonly string[];
  /** Starts the sources, as `npm start` does, instead of the built program. */
  readonly fromSource?: boolean;
  /** In a process group of its own. */
  readonly detached?: boolean;
}

export class ProgramRun {
  stdout = '';
  stderr = '';
  readonly exitCode: Promise<number | null>;
  readonly #process: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #isOver = false;

  /** The exit code, also while the output is still open. */
  readonly exited: Promise<number | null>;

  constructor(
    args: readonly string[],
    environment: Record<string, string>,
    {
      readsOutput = true,
      stdout = 'pipe',
      wrap = [],
      detached = false,
      fromSource = false,
    }: ProgramOptions = {},
  ) {
    const [command, ...words] = [
      ...wrap,
      process.execPath,
      fromSource ? SOURCE : inject('builtMain'),
      ...args,
    ];
    this.#process = spawn(command!, words, {
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['ignore', stdout, 'pipe'],
      detached,
    });
    if (readsOutput && stdout === 'pipe') {
      this.#process.stdout!.setEncoding('utf8').on('data', (text: string) => {
        this.stdout += text;
        this.#look();
      });
    }
    this.exited = once(this.#process, 'exit').then(([code]) => {
      if (!readsOutput) this.#process.stdout?.destroy();
      return code as number | null;
    });
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.exitCode = once(this.#process, 'close').then(([code]) => {
      this.#isOver = true;
      this.#look();
      return code as number | null;
    });
  }

  /** The first line of stdout that fits, behind `skip` others that do, now or later. Rejects when the process ends without it. */
  line(pattern: RegExp, skip = 0): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.stdout.split('\n').filter((line) => pattern.test(line))[skip];
        if (found !== undefined) resolve(found);
        else if (this.#isOver) reject(new Error(`ended without ${pattern}: ${this.stdout}${this.stderr}`));
        else return;
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** The first log line with this message, after `skip` others, as an object; the caller knows its fields. */
  async event<Fields extends object = Record<string, unknown>>(message: string, skip = 0): Promise<Fields> {
    return JSON.parse(await this.line(new RegExp(`"msg":"${message}"`), skip));
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** Ends the reading: what writes to stdout from now on has no reader. */
  closeOutput(): void {
    this.#process.stdout!.destroy();
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Ends it for good; for the end of a test. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.exitCode;
  }

  #look(): void {
    for (const look of [...this.#waiting]) look();
  }
}
