// Where log lines go: one asynchronous, bounded output for everything that is logged. A reader that does not keep up
// (a blocked stdout) costs lines, which are counted, never traffic. Knows nothing of what is logged.

import { openSync } from 'node:fs';
import { type Logger, pino } from 'pino';

/** Bytes that wait for a slow reader at most; what comes on top is dropped. Some 4,000 lines. */
const WAITING_BYTES_MAX = 1024 * 1024;
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
 */
export function openLog(destination: number | string = 1): LogOutput {
  // Opening process.stdout makes a pipe non-blocking. Otherwise a reader that stopped would hold a thread of the pool
  // in write(2), and the process could not even exit.
  if (destination === 1) void process.stdout;
  const file = typeof destination === 'string' ? openSync(destination, 'a') : destination;
  let linesDropped = 0;
  const stream = pino.destination({ dest: file, sync: false, maxLength: WAITING_BYTES_MAX });
  stream.on('drop', () => {
    linesDropped += 1;
  });
  const log = pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
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
