// The line of an exchange in the access log: JSON text, byte for byte what pino writes for the same members, for a fraction
// of its cost. Decides nothing about which exchanges have one.

import { type Cause, type FaultCode, formatCause } from '../errors.ts';
import type { Output } from '../http1/output.ts';
import { appendCount, appendQuoted, appendThousandths, appendTime } from './line-text.ts';

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

/** Appends the line with its end. @param nowMs Unix time */
export function appendAccessLine(out: Output, record: ExchangeRecord, nowMs: number): void {
  const { code, cause, split, keyHash } = record;
  out.text(code === null ? '{"level":"info","time":"' : '{"level":"warn","time":"');
  appendTime(out, nowMs);
  out.text('"');
  appendTextMember(out, ',"requestId":', record.requestId);
  out.text(',"client":');
  appendQuoted(out, record.client);
  appendTextMember(out, ',"method":', record.method);
  appendTextMember(out, ',"path":', record.path);
  out.text(',"status":');
  out.decimal(record.status);
  if (code !== null) appendTextMember(out, ',"code":', code);
  if (cause !== null) {
    out.text(',"cause":');
    appendQuoted(out, formatCause(cause));
  }
  appendTextMember(out, ',"split":', split);
  appendTextMember(out, ',"variant":', record.variant);
  if (split !== '') {
    out.text(',"reason":');
    appendQuoted(out, record.reason);
  }
  if (keyHash >= 0) {
    out.text(',"keyHash":"');
    appendHex8(out, keyHash);
    out.text('"');
  }
  appendTextMember(out, ',"upstream":', record.upstream);
  appendTextMember(out, ',"address":', record.address);
  appendTimeMember(out, ',"queueMs":', record.queueMs);
  appendTimeMember(out, ',"connectMs":', record.connectMs);
  appendTimeMember(out, ',"firstByteMs":', record.firstByteMs);
  appendTimeMember(out, ',"totalMs":', record.totalMs);
  out.text(',"receivedBytes":');
  appendCount(out, record.receivedBytes);
  out.text(',"sentBytes":');
  appendCount(out, record.sentBytes);
  out.text(',"retries":');
  appendCount(out, record.retries);
  out.text(',"msg":"exchange"}\n');
}

/** Appends a member, or nothing if the text is empty. @param name with its comma, quotes and colon: `,"path":` */
function appendTextMember(out: Output, name: string, text: string): void {
  if (text === '') return;
  out.text(name);
  appendQuoted(out, text);
}

function appendTimeMember(out: Output, name: string, ms: number): void {
  if (ms < 0) return;
  out.text(name);
  appendThousandths(out, Math.round(ms * 1000));
}

const HEX_BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function appendHex8(out: Output, value: number): void {
  out.text(HEX_BYTES[value >>> 24]!);
  out.text(HEX_BYTES[(value >>> 16) & 255]!);
  out.text(HEX_BYTES[(value >>> 8) & 255]!);
  out.text(HEX_BYTES[value & 255]!);
}
