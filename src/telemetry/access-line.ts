// The line of an exchange in the access log: JSON text, byte for byte what pino writes for the same members, for a fraction
// of its cost. Decides nothing about which exchanges have one.

import { type Cause, type FaultCode, formatCause } from '../errors.ts';
import { formatTime, quote, textMember } from './line-text.ts';

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

/** The line with its end. @param nowMs Unix time */
export function formatAccessLine(record: ExchangeRecord, nowMs: number): string {
  const { code, cause, split, keyHash } = record;
  return (
    (code === null ? '{"level":"info","time":"' : '{"level":"warn","time":"') +
    formatTime(nowMs) +
    '"' +
    textMember(',"requestId":', record.requestId) +
    ',"client":' +
    quote(record.client) +
    textMember(',"method":', record.method) +
    textMember(',"path":', record.path) +
    ',"status":' +
    record.status +
    (code === null ? '' : `,"code":"${code}"`) +
    (cause === null ? '' : `,"cause":${quote(formatCause(cause))}`) +
    textMember(',"split":', split) +
    textMember(',"variant":', record.variant) +
    (split === '' ? '' : `,"reason":${quote(record.reason)}`) +
    (keyHash < 0 ? '' : `,"keyHash":"${hex8(keyHash)}"`) +
    textMember(',"upstream":', record.upstream) +
    textMember(',"address":', record.address) +
    timeMember(',"queueMs":', record.queueMs) +
    timeMember(',"connectMs":', record.connectMs) +
    timeMember(',"firstByteMs":', record.firstByteMs) +
    timeMember(',"totalMs":', record.totalMs) +
    ',"receivedBytes":' +
    record.receivedBytes +
    ',"sentBytes":' +
    record.sentBytes +
    ',"retries":' +
    record.retries +
    ',"msg":"exchange"}\n'
  );
}

const timeMember = (name: string, ms: number): string => (ms < 0 ? '' : name + Math.round(ms * 1000) / 1000);

const HEX_BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

const hex8 = (value: number): string =>
  HEX_BYTES[value >>> 24]! +
  HEX_BYTES[(value >>> 16) & 255]! +
  HEX_BYTES[(value >>> 8) & 255]! +
  HEX_BYTES[value & 255]!;
