// Where log lines go: one asynchronous, bounded output for everything that is logged. A reader that does not keep up
// (a blocked stdout) costs lines, which are counted, never traffic. Knows nothing of what is logged.

import { openSync } from 'node:fs';
import { type Logger, pino } from 'pino';

/** Bytes that wait for a slow reader at most; what comes on top is dropped. Some 4,000 lines. */
const WAITING_BYTES_MAX = 1024 * 1024;
/** Bytes that one write(2) puts into a pipe in one piece, whoever else writes to it: PIPE_BUF of Linux (pipe(7)). */
const ATOMIC_BYTES = 4096;
/** Longest text and list that stay whole in a line that is cut. */
const TEXT_MAX = 256;
const LIST_MAX = 8;
/** How long close() waits for a reader. */
const CLOSE_LIMIT_MS = 1000;

/** An open output. */
export interface LogOutput {
  readonly log: Logger;
  /** Lines that nobody took in time. */
  readonly linesDropped: number;
  /** Writes what waits, for a second at most; nothing is written afterwards. */
  close(): Promise<void>;
}

/**
 * Opens the output: JSON lines with readable levels and times; process and host are the collector's to add.
 * @param destination a file descriptor (1 = stdout) or a path, which is appended to; throws when it cannot be opened
 * @param isShared other processes write to it too: lines are written in pieces that are never mixed, so none is longer
 */
export function openLog(destination: number | string = 1, isShared = false): LogOutput {
  // Opening process.stdout makes a pipe non-blocking. Otherwise a reader that stopped would hold a thread of the pool
  // in write(2), and the process could not even exit.
  if (destination === 1) void process.stdout;
  const file = typeof destination === 'string' ? openSync(destination, 'a') : destination;
  let linesDropped = 0;
  const maxWrite = isShared ? { maxWrite: ATOMIC_BYTES } : {};
  const stream = pino.destination({ dest: file, sync: false, maxLength: WAITING_BYTES_MAX, ...maxWrite });
  stream.on('drop', () => {
    linesDropped += 1;
  });
  const log = pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    isShared ? { write: (line) => void stream.write(cutLine(line)) } : stream,
  );
  return {
    log,
    get linesDropped() {
      return linesDropped;
    },
    close: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          stream.destroy();
          resolve();
        }, CLOSE_LIMIT_MS);
        stream.on('close', () => {
          clearTimeout(timer);
          resolve();
        });
        stream.end();
      }),
  };
}

/** The line as it is, or when it is longer than a piece: its texts and lists cut, then only its single values. */
export function cutLine(line: string): string {
  if (Buffer.byteLength(line) <= ATOMIC_BYTES) return line;
  const entries = Object.entries(JSON.parse(line) as Record<string, unknown>);
  const single = entries.filter(([, value]) => typeof value !== 'object');
  const named = single.filter(([name]) => name === 'level' || name === 'time' || name === 'msg');
  const attempts = [entries, single, named].map(
    (some) => `${JSON.stringify(Object.fromEntries([...some, ['isCut', true]]), cutValue)}\n`,
  );
  return attempts.find((attempt) => Buffer.byteLength(attempt) <= ATOMIC_BYTES) ?? '';
}

function cutValue(_: string, value: unknown): unknown {
  if (typeof value === 'string' && value.length > TEXT_MAX) return `${value.slice(0, TEXT_MAX)}...`;
  return Array.isArray(value) ? value.slice(0, LIST_MAX) : value;
}
