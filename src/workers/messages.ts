// What the primary process and its workers say to each other, as structured clones over the channel that node:cluster
// gives them. The primary speaks first, except for `hello`; each `read` is answered by one `reading`, in order.

import type { Config } from '../config/options/document.ts';
import type { AssignmentEvent } from '../telemetry/assignments.ts';
import type { CountersReading } from '../telemetry/counters.ts';
import type { AddressView, ProcessFacts } from '../telemetry/running.ts';
import type { UpstreamEvent } from '../upstream/report.ts';

/** The argument by which a process knows that it is a worker. */
export const WORKER_ARGUMENT = 'worker';

/** What a worker has to know before it can begin. */
export interface Orders {
  /** Its part of the limits is in there already. */
  readonly config: Config;
  /** Number of the generation that `config` is. */
  readonly generation: number;
  /** Secret of the assignment events; null when there are none. */
  readonly secret: string | null;
}

export type ToWorker =
  | ({ readonly type: 'run' } & Orders)
  | { readonly type: 'reload'; readonly config: Config }
  /** Registers are large, so they come only when they are asked for. */
  | { readonly type: 'read'; readonly withRegisters: boolean }
  | { readonly type: 'drain' }
  | { readonly type: 'stop' };

export type FromWorker =
  | { readonly type: 'hello' }
  | { readonly type: 'listening'; readonly listening: readonly string[] }
  | { readonly type: 'notListening'; readonly address: string; readonly code: string; readonly text: string }
  | { readonly type: 'reading'; readonly reading: Reading }
  | { readonly type: 'assignments'; readonly events: readonly AssignmentEvent[] }
  /** The state of an upstream has changed, as this worker finds it. */
  | { readonly type: 'upstream'; readonly event: UpstreamEvent }
  /** It has drained and goes now. */
  | { readonly type: 'drained'; readonly result: 'drained' | 'deadline'; readonly reading: Reading };

/** All numbers of a worker at one moment. */
export interface Reading {
  readonly generation: number;
  readonly counters: CountersReading;
  /** Of the upstreams that its generation uses, by name. */
  readonly upstreams: ReadonlyMap<string, UpstreamHealth>;
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

/** Registers of a split's unique keys that have changed since they were last sent. */
export interface SampleReading {
  readonly split: string;
  readonly definition: string;
  /** Those of each variant, in their order. */
  readonly registers: readonly Uint8Array[];
}
