// A command that runs until a signal ends it, in this process: its output as it comes, signals as calls, its exit code.
import { EventEmitter, once } from 'node:events';
import { expect, onTestFinished } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import type { Signal } from '../../src/service/service.ts';

export class RunningCommand {
  out = '';
  err = '';
  /** The exit code. */
  readonly ended: Promise<number>;
  readonly #written = new EventEmitter();
  #signal: (signal: Signal) => void = () => expect.unreachable('the command takes no signal yet');

  constructor(words: readonly string[], environment: Record<string, string> = {}) {
    this.ended = runProgram(words, {
      environment,
      loadThread: new URL('../../src/load-thread.ts', import.meta.url).href,
      writeOut: (text) => {
        this.out += text;
        this.#written.emit('text');
      },
      writeErr: (text) => {
        this.err += text;
        this.#written.emit('text');
      },
      onSignal: (listener) => {
        this.#signal = listener;
      },
    });
    let isOver = false;
    void this.ended.then(() => {
      isOver = true;
      this.#written.emit('text');
    });
    onTestFinished(async () => {
      if (isOver) return;
      this.#signal('SIGINT');
      await this.ended;
    });
  }

  signal(name: Signal): void {
    this.#signal(name);
  }

  /** What stdout or stderr has that fits, now or later. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.out) ?? pattern.exec(this.err);
      if (found !== null) return found;
      await once(this.#written, 'text');
    }
  }
}
