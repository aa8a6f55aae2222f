// The line of an exchange in the access log: JSON text, byte for byte what pino writes for the same members, for a fraction
// of its cost. Decides nothing about which exchanges have one.

import { type Cause, type FaultCode, formatCause } from '../errors.ts';
import type { Output } from '../http1/output.ts';
import {
  writeHash,
  writeInteger,
  writeLatin1,
  writeMilliseconds,
  writeString,
  writeThreeDigits,
} from './json-bytes.ts';

/** One exchange that has ended. Times in milliseconds; -1 = it did not come to that. */
export interface ExchangeRecord {
  /** The bytes that the positions index into; a part that is empty is not known. */
  readonly bytes: Buffer;
  readonly methodStart: number;
  readonly methodEnd: number;
  /** Path without the query, which often holds credentials. */
  readonly pathStart: number;
  readonly pathEnd: number;
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

/** Appends the line with its end. @param nowMs Unix time */
export function writeAccessLine(out: Output, record: ExchangeRecord, nowMs: number): void {
  const { code, cause, split, keyHash } = record;
  writeLevelAndTime(out, code === null, nowMs);
  writeText(out, ',"requestId":', record.requestId);
  out.text(',"client":');
  writeString(out, record.client);
  writeBytes(out, ',"method":', record.bytes, record.methodStart, record.methodEnd);
  writeBytes(out, ',"path":', record.bytes, record.pathStart, record.pathEnd);
  writeNumber(out, ',"status":', record.status);
  if (code !== null) writeText(out, ',"code":', code);
  if (cause !== null) {
    out.text(',"cause":');
    writeString(out, formatCause(cause));
  }
  if (split !== '') writeText(out, ',"split":', split);
  writeText(out, ',"variant":', record.variant);
  if (split !== '') {
    out.text(',"reason":');
    writeString(out, record.reason);
  }
  if (keyHash >= 0) {
    out.text(',"keyHash":');
    writeHash(out, keyHash);
  }
  writeText(out, ',"upstream":', record.upstream);
  writeText(out, ',"address":', record.address);
  writeTime(out, ',"queueMs":', record.queueMs);
  writeTime(out, ',"connectMs":', record.connectMs);
  writeTime(out, ',"firstByteMs":', record.firstByteMs);
  writeTime(out, ',"totalMs":', record.totalMs);
  writeNumber(out, ',"receivedBytes":', record.receivedBytes);
  writeNumber(out, ',"sentBytes":', record.sentBytes);
  writeNumber(out, ',"retries":', record.retries);
  out.text(',"msg":"exchange"}\n');
}

function writeText(out: Output, name: string, text: string): void {
  if (text === '') return;
  out.text(name);
  writeString(out, text);
}

function writeBytes(out: Output, name: string, bytes: Buffer, start: number, end: number): void {
  if (start >= end) return;
  out.text(name);
  writeLatin1(out, bytes, start, end);
}

function writeNumber(out: Output, name: string, value: number): void {
  out.text(name);
  writeInteger(out, value);
}

function writeTime(out: Output, name: string, ms: number): void {
  if (ms < 0) return;
  out.text(name);
  writeMilliseconds(out, ms);
}

/** How a line begins. The time is that of `Date.prototype.toISOString`, which is called once a second. */
const INFO_START = Buffer.from('{"level":"info","time":"0000-00-00T00:00:00.000Z"');
const WARN_START = Buffer.from('{"level":"warn","time":"0000-00-00T00:00:00.000Z"');
const TIME_AT = INFO_START.indexOf('0000');
const MS_AT = INFO_START.indexOf('000Z');
let writtenMs = Number.NaN;
let writtenSecond = Number.NaN;

function writeLevelAndTime(out: Output, isInfo: boolean, nowMs: number): void {
  if (nowMs !== writtenMs) setTime(nowMs);
  const start = isInfo ? INFO_START : WARN_START;
  out.copy(start, 0, start.length);
}

function setTime(nowMs: number): void {
  writtenMs = nowMs;
  const second = Math.floor(nowMs / 1000);
  const ms = nowMs - second * 1000;
  for (const start of [INFO_START, WARN_START]) {
    if (second !== writtenSecond) start.write(new Date(second * 1000).toISOString(), TIME_AT, 'latin1');
    writeThreeDigits(start, MS_AT, ms);
  }
  writtenSecond = second;
}
