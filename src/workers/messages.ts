// Declares the messages between the primary process and its workers, which node:cluster sends as structured clones. The
// worker sends `hello` first and then answers: each `read` gets one `reading`, in order.

import type { Config } from '../config/options/document.ts';
import type { AssignmentEvent } from '../telemetry/assignments.ts';
import type { CountersReading } from '../telemetry/counters.ts';
import type { GuardReading } from '../telemetry/guard-counts.ts';
import type { GuardOrder } from '../telemetry/guards.ts';
import type { ProcessFacts } from '../telemetry/own-process.ts';
import type { AddressView } from '../telemetry/running.ts';
import type { SampleReading } from '../telemetry/sample.ts';
import type { UpstreamEvent } from '../upstream/report.ts';

/** The argument that makes a process a worker. */
export const WORKER_ARGUMENT = 'worker';

/** What a worker needs before it can start. */
export interface Orders {
  /** With the worker's part of each limit. */
  readonly config: Config;
  /** Number of the generation that `config` is. */
  readonly generation: number;
  /** By which workers resume each other's TLS sessions. */
  readonly ticketKeys: Uint8Array;
  /** What the guards have decided so far. */
  readonly guards: readonly GuardOrder[];
  /** Secret of the assignment events; null when there are none. */
  readonly secret: string | null;
}

export type ToWorker =
  | ({ readonly type: 'run' } & Orders)
  | { readonly type: 'reload'; readonly config: Config }
  | { readonly type: 'read' }
  /** Certificates of listening addresses have changed. */
  | { readonly type: 'renewCertificates' }
  | { readonly type: 'guards'; readonly orders: readonly GuardOrder[] }
  | { readonly type: 'drain' }
  | { readonly type: 'stop' };

export type FromWorker =
  | { readonly type: 'hello' }
  | { readonly type: 'listening'; readonly listening: readonly string[] }
  | { readonly type: 'notListening'; readonly address: string; readonly code: string; readonly text: string }
  | { readonly type: 'reading'; readonly reading: Reading }
  | { readonly type: 'assignments'; readonly events: readonly AssignmentEvent[] }
  /** The state of an upstream has changed in this worker. */
  | { readonly type: 'upstream'; readonly event: UpstreamEvent }
  /** It has drained and exits now. */
  | { readonly type: 'drained'; readonly result: 'drained' | 'deadline'; readonly reading: Reading };

/** All numbers of a worker at one moment. */
export interface Reading {
  readonly generation: number;
  readonly counters: CountersReading;
  /** Of the upstreams that its generation uses, by name. */
  readonly upstreams: ReadonlyMap<string, UpstreamHealth>;
  /** The present samples; their keys are those that came since the last reading. */
  /** What each guard has counted in its window. */
  readonly guards: readonly GuardReading[];
  readonly samples: readonly SampleReading[];
  /** By position of the reason in DROP_REASONS. */
  readonly linesDropped: Float64Array;
  readonly earlyWindows: number;
  readonly process: ProcessFacts;
}

/** How a worker finds the addresses of an upstream. */
export interface UpstreamHealth {
  readonly trouble: string | null;
  readonly addresses: readonly AddressView[];
}
