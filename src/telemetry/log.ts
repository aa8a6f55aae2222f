// Opens the output of log lines: asynchronous and bounded, one for everything that is logged. With a slow reader or a device
// that fails, lines are dropped and counted, and traffic goes on. Knows nothing of what is logged.

import { isatty } from 'node:tty';
import { type Logger, pino } from 'pino';
import type { LogLevel } from '../config/options/document.ts';
import { LogDevice, type LogDeviceOwner } from './log-device.ts';
import { readableLine } from './readable-line.ts';

/** Bytes that one write(2) puts into a pipe in one piece, also when other processes write to it: PIPE_BUF of Linux (pipe(7)). */
const ATOMIC_BYTES = 4096;
/** Longest text and list that stay whole in a line that is cut. */
const TEXT_MAX = 256;
const LIST_MAX = 8;

/** An open output. */
export interface LogOutput {
  readonly log: Logger;
  /** Takes bytes[0, length), a line that is formatted already, with its end, whatever the level of the log is. */
  writeBytes(bytes: Buffer, length: number): void;
  /** `stdout`, or its path. */
  readonly file: string;
  /** Lines that could not be written, by position of the reason in DROP_REASONS. */
  readonly linesDropped: Float64Array;
  /** Opens a file again under its name; stdout stays as it is. */
  reopen(): void;
  /** Writes what waits, for a second at most; nothing is written afterwards. */
  close(): Promise<void>;
}

/** Settings of an output. */
export interface LogOptions {
  /** Other processes write to it too: lines are written in pieces that are never mixed, so none is longer. */
  readonly isShared?: boolean;
  /** Mildest level that `log` writes; default info. */
  readonly level?: LogLevel;
  /** Hears when the output fails and when it works again. */
  readonly reports?: Logger;
}

/**
 * Opens the output: JSON lines with readable levels and times, on a terminal lines for a person; process and host are the
 * collector's to add.
 * @param destination 1 for stdout, or a path, which is appended to; throws when it cannot be opened
 */
export function openLog(
  destination: 1 | string = 1,
  { isShared = false, level = 'info', reports }: LogOptions = {},
): LogOutput {
  const file = destination === 1 ? 'stdout' : destination;
  const isShown = destination === 1 && isatty(1);
  const options = {
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const owner: LogDeviceOwner = {
    describeDrops(dropped) {
      let text = '';
      const write = (line: string): void => {
        text = line;
      };
      pino(options, { write }).warn({ dropped }, 'log lines dropped');
      return isShown ? readableLine(text) : text;
    },
    failed: ({ code, message }) =>
      reports?.error({ file, code, problem: message }, 'log file fails: its lines are dropped'),
    recovered: (dropped) => reports?.info({ file, dropped }, 'log file works again'),
    notReopened: ({ code, message }) =>
      reports?.error({ file, code, problem: message }, 'log file not reopened: the old one stays in use'),
  };
  const device = new LogDevice(destination, owner, isShared ? ATOMIC_BYTES : undefined);
  const write = (line: string): void => {
    const whole = isShared ? cutLine(line) : line;
    device.write(isShown ? readableLine(whole) : whole);
  };
  const writeBytes = (bytes: Buffer, length: number): void => {
    if (isShown || (isShared && length > ATOMIC_BYTES)) write(bytes.toString('utf8', 0, length));
    else device.writeBytes(bytes, length);
  };
  return {
    log: pino({ ...options, level }, { write }),
    writeBytes,
    file,
    linesDropped: device.dropped,
    reopen: () => device.reopen(),
    close: () => device.close(),
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
