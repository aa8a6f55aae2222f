// Decides which exchanges get a log line. The hot path asks wants() first, so a line is built only when it is wanted. What
// must never be logged is not in the record: no query, no field, no key.

import type { ACCESS_LOG_MODES } from '../config/options/document.ts';
import { Output } from '../http1/output.ts';
import { appendAccessLine, type ExchangeRecord } from './access-line.ts';

/** Which exchanges are logged. `sampled` takes every one that went wrong and a share of the others. */
type AccessLogMode = (typeof ACCESS_LOG_MODES)[number];

/** Room for a line, which grows where a path is long. */
const LINE_BYTES = 1024;

/** Takes lines: an output of the log. */
export interface LineSink {
  /** Takes bytes[0, length): a line with its end. They may be changed after the call. */
  writeBytes(bytes: Buffer, length: number): void;
}

/** Writes the lines of exchanges. */
export class AccessLog {
  readonly #output: LineSink;
  readonly #mode: AccessLogMode;
  readonly #sampleRatio: number;
  readonly #random: () => number;
  readonly #line = new Output(LINE_BYTES);

  /** @param sampleRatio share of the exchanges that went well which `sampled` logs, from 0 to 1 */
  constructor(output: LineSink, mode: AccessLogMode, sampleRatio = 0, random: () => number = Math.random) {
    this.#output = output;
    this.#mode = mode;
    this.#sampleRatio = sampleRatio;
    this.#random = random;
  }

  /** Whether an exchange that ended so is to be written. @param fault position in FAULT_CODES, -1 = none. Hot path. */
  wants(status: number, fault: number): boolean {
    switch (this.#mode) {
      case 'off':
        return false;
      case 'all':
        return true;
      case 'errors':
        return fault >= 0 || status >= 500;
      case 'sampled':
        return fault >= 0 || status >= 500 || this.#random() < this.#sampleRatio;
      default:
        return this.#mode satisfies never;
    }
  }

  write(record: ExchangeRecord): void {
    const line = this.#line;
    line.clear();
    appendAccessLine(line, record, Date.now());
    this.#output.writeBytes(line.bytes, line.length);
  }
}
