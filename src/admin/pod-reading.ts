// What a splitter tells to who adds up a fleet: everything that it has counted, whole, as one JSON value of version 1. Samples
// are the compressed bytes of telemetry/sample-state.ts. Like the rest of the admin port it has no key and no token: a bitmap
// of hashes says at most that a key which is known already was probably seen.

import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { constants, deflateRaw } from 'node:zlib';
import { describeKey } from '../split/key-list.ts';
import type { CountersReading } from '../telemetry/counters.ts';
import { DOWNSTREAM_ROW, UPSTREAM_ROW, VARIANT_ROW } from '../telemetry/counts.ts';
import { processId } from '../telemetry/process-id.ts';
import type { RowReading } from '../telemetry/rows.ts';
import type { ReloadStatus, Running } from '../telemetry/running.ts';
import { encodeInPieces } from '../telemetry/sample-state.ts';
import { VERSION } from '../telemetry/version.ts';
import { inTurns } from '../turns.ts';

/** Samples beyond this many compressed bytes are left out: the answer stays small enough to hold. */
const SAMPLES_BYTES_MAX = 24 * 1024 * 1024;

/** Encoded in one piece; a multiple of 3, so that only the last one is padded. */
const BASE64_PIECE_BYTES = 3 * 64 * 1024;

/** Equal where the cells of rows mean the same: only such numbers may be added up. */
export const ROW_LAYOUT = `${VARIANT_ROW.size}.${UPSTREAM_ROW.size}.${DOWNSTREAM_ROW.size}`;

/** One split as a pod has it. */
export interface SplitReadingV1 {
  readonly name: string;
  readonly key: string;
  readonly method: string;
  readonly missingKey: string;
  readonly variants: readonly { readonly name: string; readonly upstream: string; readonly share: number }[];
  /** encodeSample(), deflated, in base64; null where it was too large. */
  readonly sample: string | null;
}

/** The answer of /samples. */
export interface PodReadingV1 {
  readonly version: 1;
  readonly program: string;
  readonly process: string;
  /** Processes whose numbers are in these, because it went on from them. */
  readonly adopted: readonly string[];
  readonly pod: string;
  readonly state: string;
  readonly startedAt: string;
  readonly generation: { readonly number: number; readonly hash: string; readonly acceptedAt: string };
  /** What stands in the way of a reload, of upstreams and of workers, as sentences. */
  readonly troubles: readonly string[];
  readonly layout: string;
  /** Upper bounds of the buckets of all durations, in seconds. */
  readonly durationBounds: readonly number[];
  readonly counters: {
    readonly downstream: readonly number[];
    readonly variants: readonly (Omit<CountersReading['variants'][number], 'cells'> & {
      readonly cells: readonly number[];
    })[];
    readonly upstreams: readonly { readonly upstream: string; readonly cells: readonly number[] }[];
  };
  readonly splits: readonly SplitReadingV1[];
}

const deflateSample = promisify(deflateRaw);

/** The text in pieces; samples are compressed off the event loop, one after the other. */
export async function* podPieces(
  running: Running,
  reloads: ReloadStatus,
  adopted: readonly string[],
): AsyncIterable<string> {
  const { counters, generation } = running;
  const { downstream, variants, upstreams } = counters.read();
  const head: Omit<PodReadingV1, 'counters' | 'splits'> = {
    version: 1,
    program: VERSION,
    process: processId(),
    adopted,
    pod: hostname(),
    state: running.state,
    startedAt: new Date(performance.timeOrigin).toISOString(),
    generation: {
      number: generation.number,
      hash: generation.config.hash,
      acceptedAt: generation.acceptedAt.toISOString(),
    },
    troubles: podTroubles(running, reloads),
    layout: ROW_LAYOUT,
    durationBounds: counters.durationBounds,
  };
  yield `${JSON.stringify(head).slice(0, -1)},"counters":{"downstream":${cellsText(downstream)},"variants":[`;
  yield* rowPieces(variants);
  yield '],"upstreams":[';
  yield* rowPieces(upstreams);
  yield ']},"splits":[';
  let isFirst = true;
  let byteCount = 0;
  for (const [name, splitter] of generation.splitters) {
    const split = generation.config.splits.get(name)!;
    const facts: Omit<SplitReadingV1, 'sample'> = {
      name,
      key: describeKey(split.key),
      method: split.method,
      missingKey: String(split.missingKey),
      variants: splitter.variants.map(({ name, upstream, share }) => ({ name, upstream, share })),
    };
    const sample = counters.presentSample(name);
    yield `${isFirst ? '' : ','}${JSON.stringify(facts).slice(0, -1)},"sample":`;
    let bytes: Buffer | null = null;
    if (sample !== undefined && byteCount < SAMPLES_BYTES_MAX) {
      bytes = await deflateSample(await inTurns(encodeInPieces(sample)), { level: constants.Z_BEST_SPEED });
      byteCount += bytes.length;
    }
    if (bytes === null || byteCount > SAMPLES_BYTES_MAX) yield 'null}';
    else yield* base64Pieces(bytes);
    isFirst = false;
  }
  yield ']}\n';
}

/** A text of JSON, and the end of its object. */
function* base64Pieces(bytes: Buffer): Iterable<string> {
  yield '"';
  for (let at = 0; at < bytes.length; at += BASE64_PIECE_BYTES)
    yield bytes.toString('base64', at, at + BASE64_PIECE_BYTES);
  yield '"}';
}

function* rowPieces(rows: Iterable<{ readonly cells: RowReading }>): Iterable<string> {
  let isFirst = true;
  for (const { cells, ...names } of rows) {
    yield `${isFirst ? '' : ','}${JSON.stringify(names).slice(0, -1)},"cells":${cellsText(cells)}}`;
    isFirst = false;
  }
}

function cellsText(cells: RowReading): string {
  return `[${cells.join()}]`;
}

function podTroubles({ generation, workers }: Running, reloads: ReloadStatus): string[] {
  const sentences: string[] = [];
  if (!reloads.isSuccessful) sentences.push(`configuration refused: ${reloads.problems[0]}`);
  for (const { name, trouble } of generation.upstreams.values()) {
    if (trouble !== null) sentences.push(`upstream ${name}: ${trouble}`);
  }
  for (const { number, state } of workers?.list ?? []) {
    if (state !== 'serving') sentences.push(`worker ${number}: ${state}`);
  }
  return sentences.slice(0, POD_TROUBLES_MAX);
}

/** Sentences that are sent at most. */
const POD_TROUBLES_MAX = 20;
