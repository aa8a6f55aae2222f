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

const LINE = {
  info: same('{"level":"info","time":"'),
  warn: same('{"level":"warn","time":"'),
  requestId: same('","requestId":'),
  client: same(',"client":'),
  noIdClient: same('","client":'),
  method: same(',"method":'),
  path: same(',"path":'),
  status: same(',"status":'),
  cause: same(',"cause":'),
  keyHash: same(',"keyHash":"'),
  queueMs: same(',"queueMs":'),
  connectMs: same(',"connectMs":'),
  firstByteMs: same(',"firstByteMs":'),
  totalMs: same(',"totalMs":'),
  receivedBytes: same(',"receivedBytes":'),
  sentBytes: same(',"sentBytes":'),
  retries: same(',"retries":'),
  end: same(',"msg":"exchange"}\n'),
} as const;

const NAMED = {
  code: new KnownMember(',"code":'),
  split: new KnownMember(',"split":'),
  variant: new KnownMember(',"variant":'),
  reason: new KnownMember(',"reason":'),
  upstream: new KnownMember(',"upstream":'),
  address: new KnownMember(',"address":'),
} as const;

/** Appends the line with its end. @param nowMs Unix time */
export function appendAccessLine(out: Output, record: ExchangeRecord, nowMs: number): void {
  const { code, cause, split, keyHash, requestId, method, path } = record;
  out.append(code === null ? LINE.info : LINE.warn);
  appendTime(out, nowMs);
  if (requestId === '') out.append(LINE.noIdClient);
  else {
    out.append(LINE.requestId);
    appendQuoted(out, requestId);
    out.append(LINE.client);
  }
  appendQuoted(out, record.client);
  if (method !== '') {
    out.append(LINE.method);
    appendQuoted(out, method);
  }
  if (path !== '') {
    out.append(LINE.path);
    appendQuoted(out, path);
  }
  out.append(LINE.status);
  out.decimal(record.status);
  if (code !== null) NAMED.code.append(out, code);
  if (cause !== null) {
    out.append(LINE.cause);
    appendQuoted(out, formatCause(cause));
  }
  NAMED.split.appendUnlessEmpty(out, split);
  NAMED.variant.appendUnlessEmpty(out, record.variant);
  if (split !== '') NAMED.reason.append(out, record.reason);
  if (keyHash >= 0) {
    out.append(LINE.keyHash);
    appendHex8(out, keyHash);
    out.text('"');
  }
  NAMED.upstream.appendUnlessEmpty(out, record.upstream);
  NAMED.address.appendUnlessEmpty(out, record.address);
  appendTimeMember(out, LINE.queueMs, record.queueMs);
  appendTimeMember(out, LINE.connectMs, record.connectMs);
  appendTimeMember(out, LINE.firstByteMs, record.firstByteMs);
  appendTimeMember(out, LINE.totalMs, record.totalMs);
  out.append(LINE.receivedBytes);
  appendCount(out, record.receivedBytes);
  out.append(LINE.sentBytes);
  appendCount(out, record.sentBytes);
  out.append(LINE.retries);
  appendCount(out, record.retries);
  out.append(LINE.end);
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
