// What is told of an exchange when it has ended: to the counters, the sample of its split, the access log and the
// assignment events. It gathers facts while the exchange runs and decides nothing about it.

import { QUESTION } from '../bytes.ts';
import { type Cause, FAULT_CODES, FAULTS, type FaultCode } from '../errors.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { RoutedSplit } from '../routing/generation.ts';
import { isPreflight } from '../split/preflight.ts';
import type { Decision, DecisionExtras, Reason, Splitter } from '../split/splitter.ts';
import type { ExchangeRecord } from '../telemetry/access-line.ts';
import type { AccessLog } from '../telemetry/access-log.ts';
import type { Assignments } from '../telemetry/assignments.ts';
import type { DownstreamCounters, VariantCounters } from '../telemetry/counters.ts';
import { ENDING, endingOf, type Outside } from '../telemetry/epoch.ts';
import type { AddressFacts } from '../transport/contracts.ts';
import { AskedAddresses } from './asked-addresses.ts';

/** Who else wants to know of exchanges; null = nobody asked. */
export interface Observers {
  readonly accessLog: AccessLog | null;
  readonly assignments: Assignments | null;
}

/** The record of a request of which nothing is known. */
const UNKNOWN_REQUEST: ExchangeRecord = {
  method: '',
  path: '',
  client: '',
  requestId: '',
  split: '',
  variant: '',
  reason: '',
  keyHash: -1,
  upstream: '',
  address: '',
  status: 0,
  code: null,
  cause: null,
  queueMs: -1,
  connectMs: -1,
  firstByteMs: -1,
  totalMs: 0,
  receivedBytes: 0,
  sentBytes: 0,
  retries: 0,
};

/** One exchange's facts. Used again for each request of a connection. Times are those of `performance.now()`. */
export class Outcome {
  bytesReceived = 0;
  bytesSent = 0;
  /** Status that was sent; 0 = none. */
  status = 0;
  /** Status of the error that a route's own answer replaced, by which the exchange is judged; 0 = none. */
  replacedStatus = 0;
  retries = 0;
  /** When the request began. */
  startedAt = 0;
  /** Address that the request was sent to; empty when it was not sent. */
  address = '';
  /** When the request head was written to the upstream; 0 = not yet. */
  sentAt = 0;
  /** When a connection began to be opened for it; 0 = a reused one took it. */
  connectAt = 0;
  /** When the response head came; 0 = not yet. */
  firstByteAt = 0;
  /** The id that was made for the request; null when it brought one, or none was wanted. */
  requestId: string | null = null;
  readonly asked = new AskedAddresses();
  readonly #observers: Observers;
  readonly #refusals: DownstreamCounters;
  #generation = 0;
  #counters: VariantCounters | null = null;
  #upstream = '';
  #split: RoutedSplit | null = null;
  #variant = 0;
  #hash = -1;
  #reason: Reason = 'share';
  #extras: DecisionExtras | null = null;
  #isFallback = false;

  constructor(observers: Observers, refusals: DownstreamCounters) {
    this.#observers = observers;
    this.#refusals = refusals;
  }

  /** A request has come. */
  begin(now: number, headBytes: number, generation: number): void {
    this.startedAt = now;
    this.#generation = generation;
    this.bytesReceived = headBytes;
    this.bytesSent = 0;
    this.status = 0;
    this.replacedStatus = 0;
    this.retries = 0;
    this.address = '';
    this.sentAt = 0;
    this.connectAt = 0;
    this.firstByteAt = 0;
    this.asked.reset();
    this.requestId = null;
    this.#counters = null;
    this.#upstream = '';
    this.#split = null;
    this.#hash = -1;
    this.#reason = 'share';
    this.#extras = null;
    this.#isFallback = false;
  }

  /** Holds nothing of its request any more. */
  forget(): void {
    this.requestId = null;
    this.asked.reset();
    this.#extras = null;
  }

  /** Bytes that have come from the client and gone to it. */
  get bytesMoved(): number {
    return this.bytesReceived + this.bytesSent;
  }

  /** A splitter has decided. */
  decided(split: RoutedSplit, variant: number, { hash, reason, extras }: Decision): void {
    this.#split = split;
    this.#variant = variant;
    this.#hash = hash;
    this.#reason = reason;
    this.#extras = extras;
  }

  /** The exchange is counted here from now on. `upstream`: its name, or that of a fixed answer. */
  belongsTo(counters: VariantCounters, upstream: string): void {
    this.#counters = counters;
    this.#upstream = upstream;
    counters.begin();
    if (this.#split === null) return;
    counters.decided(this.#reason);
    if (this.#reason === 'missing_key') counters.missingKey();
    if (this.#extras !== null) this.#countExtras(counters, this.#extras);
  }

  /** A connection to this address is being opened for it. */
  connects(address: AddressFacts, now: number): void {
    this.connectAt = now;
    this.address = address.name;
    this.asked.connects(address);
  }

  /** The request head is written to this address. */
  sends(address: AddressFacts, now: number): void {
    this.sentAt = now;
    this.address = address.name;
    this.asked.sends(address);
  }

  /** It is sent again, after an attempt that counts as this status. */
  retried(status: number): void {
    this.retries++;
    this.asked.failed(status);
    this.#counters?.retry();
  }

  /** What the decision brought along; null for nothing, and without a decision. */
  get extras(): DecisionExtras | null {
    return this.#extras;
  }

  /** Hash of the key that a split has decided by; -1 = none. A tester who forces a variant may have no key: its hash is 0. */
  get keyHash(): number {
    const isMissing = this.#reason === 'missing_key' || (this.#reason === 'override' && this.#hash === 0);
    return isMissing ? -1 : this.#hash;
  }

  get reason(): Reason {
    return this.#reason;
  }

  /** Another upstream takes it. */
  fellBack(upstream: string): void {
    this.#isFallback = true;
    this.#upstream = upstream;
    this.#counters?.fallback();
  }

  /** It has ended. `fault` is a position in FAULT_CODES, -1 = none. `head` is the request's, for the log. */
  settle(fault: number, now: number, head: RequestHead, cause: Cause | null): void {
    const counters = this.#counters;
    if (counters === null) this.#refusals.refused(fault);
    else counters.end(this.status, fault, now - this.startedAt, this.bytesReceived, this.bytesSent);
    const split = this.#split;
    if (split !== null && counters !== null) this.#sample(split, counters, fault, now, head);
    const { accessLog } = this.#observers;
    if (accessLog?.wants(this.status, fault)) this.#log(accessLog, fault, now, head, cause);
    this.#counters = null;
    this.#split = null;
  }

  /** A request was refused before it could be given to an exchange; nothing of its head can be trusted in a log. */
  refused(code: FaultCode, client: string, cause: Cause | null, sentBytes: number): void {
    const fault = FAULT_CODES.indexOf(code);
    const { status } = FAULTS[code];
    this.#refusals.refused(fault);
    const { accessLog } = this.#observers;
    if (!accessLog?.wants(status, fault)) return;
    accessLog.write({ ...UNKNOWN_REQUEST, client, status, code, cause, sentBytes });
  }

  /** Counts the exchange in the sample of its split, or what keeps it out. */
  #sample(
    split: RoutedSplit,
    counters: VariantCounters,
    fault: number,
    now: number,
    head: RequestHead,
  ): void {
    const { sample } = split;
    const ending = endingOf(this.replacedStatus || this.status, fault);
    if (this.retries > 0) sample.retried(this.#variant, this.retries);
    if (isPreflight(head)) {
      counters.preflight();
      sample.leftOut(this.#variant, 'preflights', ending);
    } else if (this.#isFallback) {
      sample.leftOut(this.#variant, 'fallbacks', ending);
    } else if (this.#reason !== 'share') {
      sample.leftOut(this.#variant, keptOutBy(this.#reason), ending);
    } else if (split.splitter.isRandom) {
      // A key that is another one for each request is no user, and no verdict may rest on it.
      sample.leftOut(this.#variant, 'others', ending);
    } else {
      sample.add(this.#variant, this.#hash, ending, now - this.startedAt);
      split.guard?.add(this.#variant, this.#hash, ending === ENDING.failed, now - this.startedAt);
      if (this.#observers.assignments !== null) this.#assign(this.#observers.assignments, split, head);
    }
  }

  #countExtras(counters: VariantCounters, { mintedKey, setCookie, override }: DecisionExtras): void {
    if (mintedKey !== null) counters.keyMinted();
    else if (setCookie !== null) counters.keyRemembered();
    if (override === null || override.place === null) return;
    if (override.variant >= 0) counters.override();
    else counters.overrideRefused();
  }

  #assign(assignments: Assignments, split: RoutedSplit, head: RequestHead): void {
    const { splitter, assigned } = split;
    if (assigned === null || !assignments.isNew(assigned, this.#variant, this.#hash, Date.now())) return;
    const variant = splitter.variants[this.#variant]!.name;
    const minted = this.#extras?.mintedKey ?? null;
    const key = minted === null ? splitter.keyOf(head) : Buffer.from(minted);
    assignments.write({ split: splitter.name, variant, generation: this.#generation }, key);
  }

  #log(accessLog: AccessLog, fault: number, now: number, head: RequestHead, cause: Cause | null): void {
    const splitter: Splitter | undefined = this.#split?.splitter;
    const reached = this.sentAt > 0;
    const isFresh = this.connectAt > 0;
    let pathEnd = head.targetStart;
    while (pathEnd < head.targetEnd && head.bytes[pathEnd] !== QUESTION) pathEnd++;
    accessLog.write({
      method: head.bytes.toString('latin1', head.methodStart, head.methodEnd),
      path: head.bytes.toString('latin1', head.targetStart, pathEnd),
      client: head.remoteAddress,
      requestId: this.requestId ?? head.fieldValues('x-request-id')[0]?.toString() ?? '',
      split: splitter?.name ?? '',
      variant: this.#hash >= 0 ? (splitter?.variants[this.#variant]?.name ?? '') : '',
      reason: this.#isFallback ? 'fallback' : this.#reason,
      keyHash: this.#hash,
      upstream: this.#upstream,
      address: this.address,
      status: this.status,
      code: fault < 0 ? null : FAULT_CODES[fault]!,
      cause,
      queueMs: reached ? (isFresh ? this.connectAt : this.sentAt) - this.startedAt : -1,
      connectMs: reached && isFresh ? this.sentAt - this.connectAt : -1,
      firstByteMs: this.firstByteAt > 0 ? this.firstByteAt - this.startedAt : -1,
      totalMs: now - this.startedAt,
      receivedBytes: this.bytesReceived,
      sentBytes: this.bytesSent,
      retries: this.retries,
    });
  }
}

/** What a reason other than the share is counted as. */
function keptOutBy(reason: Reason): Outside {
  if (reason === 'missing_key') return 'keyless';
  return reason === 'override' ? 'overrides' : 'others';
}
