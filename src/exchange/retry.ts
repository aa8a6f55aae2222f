// Whether and how a failed attempt is tried again, and which requests may be sent along with others because trying them
// again does no harm. Decisions and what they depend on: it sends nothing.
// Sources: RFC 9110 §9.2, RFC 9112 §9.3.2.

import type { UpstreamConfig } from '../config/options/upstream.ts';
import { type Cause, FAULTS, type FaultCode } from '../errors.ts';
import { BODY, type RequestFraming } from '../http1/framing.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type {
  AddressFacts,
  AttemptFacts,
  PooledConnection,
  UpstreamExchange,
} from '../transport/contracts.ts';
import { LOST_STATUS } from './asked-addresses.ts';

/** Failures of an answer after which another address might do better. */
const SPEAKS_AGAINST_ADDRESS: ReadonlySet<FaultCode> = new Set([
  'UPSTREAM_RESPONSE_TIMEOUT',
  'UPSTREAM_BODY_TIMEOUT',
  'UPSTREAM_BAD_RESPONSE',
  'UPSTREAM_HEAD_TOO_LARGE',
  'UPSTREAM_BODY_CUT',
]);

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** What one exchange, which owns it, has tried. The pool counts the connects; `reset` before each request. */
export class Attempts implements AttemptFacts {
  connects = 0;
  reconnectUntil = 0;
  readonly failedAddresses: AddressFacts[] = [];
  isRetry = false;
  /** An upstream that was lost may have seen the request: it is never shown to another one. */
  wasShown = false;

  reset(): void {
    this.startOver();
    this.isRetry = false;
    this.wasShown = false;
  }

  /** Another upstream is tried. */
  startOver(): void {
    this.connects = 0;
    this.reconnectUntil = 0;
    if (this.failedAddresses.length > 0) this.failedAddresses.length = 0;
  }

  /**
   * A connection was lost and the request is sent again: to another address where that may help. Returns true when this
   * speaks against the address: a connection that closes before its first answer was not closed for having been idle.
   */
  lost(connection: PooledConnection, wasSent: boolean, now: number): boolean {
    const isFirstUse = connection.exchanges === 1;
    if (wasSent && (isFirstUse || connection.hasAlternative(now)))
      this.failedAddresses.push(connection.address);
    this.isRetry = true;
    this.wasShown ||= wasSent;
    return wasSent && isFirstUse;
  }
}

/** After what an exchange goes on to another server: a value of `retry.on`. */
export type RetryCondition = UpstreamConfig['retry']['on'][number];

/** The configuration allows one more attempt after `retries` of them, `ageMs` after the request began. */
export function allowsRetry(
  { attempts, on, timeout }: UpstreamConfig['retry'],
  condition: RetryCondition,
  retries: number,
  ageMs: number,
): boolean {
  return retries < attempts && (timeout === 0 || ageMs < timeout) && on.includes(condition);
}

/** An exchange that may be sent to another server of its upstream after an answer that is none, or a bad one. */
export interface RepeatableExchange extends UpstreamExchange {
  readonly attempts: Attempts;
  /** The configuration and the request allow it, and no answer has begun. */
  mayGoOn(condition: RetryCondition, wasSent: boolean, now: number): boolean;
  /** Sends the request again, on another connection, after an attempt that counts as this status. */
  sendAgain(now: number, status: number): void;
}

/** The condition that a fault of an answer is; null for every other one. */
export function conditionOf(code: FaultCode): RetryCondition | null {
  if (code === 'UPSTREAM_RESPONSE_TIMEOUT') return 'timeout';
  return code === 'UPSTREAM_BAD_RESPONSE' || code === 'UPSTREAM_HEAD_TOO_LARGE' ? 'invalid_header' : null;
}

/**
 * Sends the exchange to another server, where there is one that may do better; false where it has to end here. `condition` may
 * be a status that no configuration names. A fault speaks against the address, a status does not.
 */
export function passOn(
  exchange: RepeatableExchange,
  connection: PooledConnection | null,
  condition: RetryCondition | `http_${number}` | null,
  code: FaultCode | null,
  cause: Cause | null,
): boolean {
  if (condition === null || connection === null || connection.isConnecting) return false;
  const now = performance.now();
  if (!exchange.mayGoOn(condition as RetryCondition, true, now) || !connection.hasAlternative(now))
    return false;
  exchange.attempts.lost(connection, true, now);
  if (code !== null) connection.blame(code, now, cause);
  connection.leave(exchange, code !== null);
  exchange.sendAgain(now, lostStatus(condition));
  return true;
}

/** What an attempt that ended by this condition counts as. */
function lostStatus(condition: string): number {
  if (condition.startsWith('http_')) return Number(condition.slice(5));
  return condition === 'timeout' ? FAULTS.UPSTREAM_RESPONSE_TIMEOUT.status : LOST_STATUS;
}

/** The exchange has failed and needs its connection no longer. */
export function letGo(
  exchange: UpstreamExchange,
  connection: PooledConnection,
  code: FaultCode,
  cause: Cause | null,
  now: number,
): void {
  const isUpstreams = speaksAgainstAddress(code);
  if (isUpstreams) connection.blame(code, now, cause);
  connection.leave(exchange, isUpstreams);
}

/** The upstream is to blame for the failure. */
function speaksAgainstAddress(code: FaultCode): boolean {
  return SPEAKS_AGAINST_ADDRESS.has(code);
}

/** The request may share a connection with others that have not been answered yet. */
export function mayShareConnection(head: RequestHead, framing: RequestFraming): boolean {
  return framing.body === BODY.none && !framing.expectsContinue && SAFE.has(methodOf(head));
}

/**
 * What was not sent may be sent elsewhere, whatever it is; otherwise only what does no harm when it is done twice
 * (RFC 9110 §9.2.2). `isBodyThere`: all of the body that has come can be sent again.
 */
export function mayRepeat(
  head: RequestHead,
  framing: RequestFraming,
  wasSent: boolean,
  isBodyThere: boolean,
): boolean {
  if (wasSent && !IDEMPOTENT.has(methodOf(head))) return false;
  return framing.body === BODY.none || isBodyThere;
}

function methodOf({ bytes, methodStart, methodEnd }: RequestHead): string {
  return bytes.toString('latin1', methodStart, methodEnd);
}
