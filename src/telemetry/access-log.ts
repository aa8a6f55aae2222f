// Decides which exchanges get a log line, and writes it. The hot path asks wants() first, so a line is built only when it is
// wanted. What must never be logged is not in the record: no query, no field, no key.

import type { Logger } from 'pino';
import type { ACCESS_LOG_MODES } from '../config/options/document.ts';
import { type Cause, type FaultCode, formatCause } from '../errors.ts';

/** Which exchanges are logged. `sampled` takes every one that went wrong and a share of the others. */
type AccessLogMode = (typeof ACCESS_LOG_MODES)[number];

/** One exchange that has ended. Times in milliseconds; -1 = it did not come to that. */
export interface ExchangeRecord {
  readonly method: string;
  /** Path without the query, which often holds credentials. */
  readonly path: string;
  /** Client address. */
  readonly client: string;
  readonly requestId: string;
  /** Empty for a route straight to an upstream and for a request that was refused before. */
  readonly split: string;
  readonly variant: string;
  readonly reason: string;
  /** 32-bit hash of the key; -1 when nothing was decided. */
  readonly keyHash: number;
  readonly upstream: string;
  /** The upstream's address that was connected to; empty when none was. */
  readonly address: string;
  /** Status that was sent; 0 = none. */
  readonly status: number;
  readonly code: FaultCode | null;
  /** What is known beyond the code; null when nothing is. */
  readonly cause: Cause | null;
  readonly queueMs: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  readonly totalMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly retries: number;
}

/** Writes the lines of exchanges. */
export class AccessLog {
  readonly #log: Logger;
  readonly #mode: AccessLogMode;
  readonly #sampleRatio: number;
  readonly #random: () => number;

  /** @param sampleRatio share of the exchanges that went well which `sampled` logs, from 0 to 1 */
  constructor(log: Logger, mode: AccessLogMode, sampleRatio = 0, random: () => number = Math.random) {
    this.#log = log;
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
    const { code, cause, split, keyHash } = record;
    this.#log[code === null ? 'info' : 'warn'](
      {
        requestId: record.requestId === '' ? undefined : record.requestId,
        client: record.client,
        method: record.method === '' ? undefined : record.method,
        path: record.path === '' ? undefined : record.path,
        status: record.status,
        code: code ?? undefined,
        cause: cause === null ? undefined : formatCause(cause),
        split: split === '' ? undefined : split,
        variant: record.variant === '' ? undefined : record.variant,
        reason: split === '' ? undefined : record.reason,
        keyHash: keyHash < 0 ? undefined : keyHash.toString(16).padStart(8, '0'),
        upstream: record.upstream === '' ? undefined : record.upstream,
        address: record.address === '' ? undefined : record.address,
        queueMs: milliseconds(record.queueMs),
        connectMs: milliseconds(record.connectMs),
        firstByteMs: milliseconds(record.firstByteMs),
        totalMs: milliseconds(record.totalMs),
        receivedBytes: record.receivedBytes,
        sentBytes: record.sentBytes,
        retries: record.retries,
      },
      'exchange',
    );
  }
}

function milliseconds(value: number): number | undefined {
  return value < 0 ? undefined : Math.round(value * 1000) / 1000;
}
