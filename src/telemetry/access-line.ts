// The line of an exchange in the access log: JSON text, byte for byte what pino writes for the same members, for a fraction
// of its cost. Decides nothing about which exchanges have one.

import { type Cause, type FaultCode, formatCause } from '../errors.ts';
import type { Output } from '../http1/output.ts';
import { appendCount, appendQuoted, appendThousandths, appendTime, KnownMember } from './line-text.ts';

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

/** Bytes of a text that is the same in every line: they are copied, not written one by one. */
const same = (text: string) => Buffer.from(text, 'latin1');

const INFO = same('{"level":"info","time":"');
const WARN = same('{"level":"warn","time":"');
const REQUEST_ID = same('","requestId":');
const CLIENT = same(',"client":');
const NO_ID_CLIENT = same('","client":');
const METHOD = same(',"method":');
const PATH = same(',"path":');
const STATUS = same(',"status":');
const CAUSE = same(',"cause":');
const KEY_HASH = same(',"keyHash":"');
const QUEUE_MS = same(',"queueMs":');
const CONNECT_MS = same(',"connectMs":');
const FIRST_BYTE_MS = same(',"firstByteMs":');
const TOTAL_MS = same(',"totalMs":');
const RECEIVED_BYTES = same(',"receivedBytes":');
const SENT_BYTES = same(',"sentBytes":');
const RETRIES = same(',"retries":');
const END = same(',"msg":"exchange"}\n');

const CODES = new KnownMember(',"code":');
const SPLITS = new KnownMember(',"split":');
const VARIANTS = new KnownMember(',"variant":');
const REASONS = new KnownMember(',"reason":');
const UPSTREAMS = new KnownMember(',"upstream":');
const ADDRESSES = new KnownMember(',"address":');

/** Appends the line with its end. @param nowMs Unix time */
export function appendAccessLine(out: Output, record: ExchangeRecord, nowMs: number): void {
  const { code, cause, split, keyHash, requestId, method, path } = record;
  out.append(code === null ? INFO : WARN);
  appendTime(out, nowMs);
  if (requestId === '') out.append(NO_ID_CLIENT);
  else {
    out.append(REQUEST_ID);
    appendQuoted(out, requestId);
    out.append(CLIENT);
  }
  appendQuoted(out, record.client);
  if (method !== '') {
    out.append(METHOD);
    appendQuoted(out, method);
  }
  if (path !== '') {
    out.append(PATH);
    appendQuoted(out, path);
  }
  out.append(STATUS);
  out.decimal(record.status);
  if (code !== null) CODES.append(out, code);
  if (cause !== null) {
    out.append(CAUSE);
    appendQuoted(out, formatCause(cause));
  }
  SPLITS.appendUnlessEmpty(out, split);
  VARIANTS.appendUnlessEmpty(out, record.variant);
  if (split !== '') REASONS.append(out, record.reason);
  if (keyHash >= 0) {
    out.append(KEY_HASH);
    appendHex8(out, keyHash);
    out.text('"');
  }
  UPSTREAMS.appendUnlessEmpty(out, record.upstream);
  ADDRESSES.appendUnlessEmpty(out, record.address);
  appendTimeMember(out, QUEUE_MS, record.queueMs);
  appendTimeMember(out, CONNECT_MS, record.connectMs);
  appendTimeMember(out, FIRST_BYTE_MS, record.firstByteMs);
  appendTimeMember(out, TOTAL_MS, record.totalMs);
  out.append(RECEIVED_BYTES);
  appendCount(out, record.receivedBytes);
  out.append(SENT_BYTES);
  appendCount(out, record.sentBytes);
  out.append(RETRIES);
  appendCount(out, record.retries);
  out.append(END);
}

function appendTimeMember(out: Output, name: Uint8Array, ms: number): void {
  if (ms < 0) return;
  out.append(name);
  appendThousandths(out, Math.round(ms * 1000));
}

const HEX_DIGITS = same('0123456789abcdef');

/** @param value from 0 to 2^32 - 1 */
function appendHex8(out: Output, value: number): void {
  out.reserve(8);
  const { bytes, length } = out;
  for (let i = 0; i < 8; i++) bytes[length + i] = HEX_DIGITS[(value >>> (28 - 4 * i)) & 15]!;
  out.length = length + 8;
}
