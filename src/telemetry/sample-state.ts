// Writes a whole sample as bytes and reads it again, so that it can be sent to another pod or outlive its process: a header in
// JSON (version 1: what the sample is of, when it began, its alarms), then bitmaps, registers and numbers. Keys are united
// when states come together, numbers are added up: the numbers of a process may be taken in once only.

import { durationBoundsSeconds } from './duration-buckets.ts';
import { EPOCH_ROW } from './epoch.ts';
import type { KeyChanges } from './key-set.ts';
import { withoutHistograms } from './rows.ts';
import { KEY_SETS, Sample, type SampleIdentity, type SampleReading } from './sample.ts';
import type { KeptEvidence } from './verdict.ts';

/** "RSS" and the version of the form. */
const MAGIC = Buffer.from('RSS\x01', 'latin1');
const MAGIC_BYTES = 8;
/** Arrays begin at multiples of this. */
const ALIGNMENT = 8;
/** Copied in one piece: well below a millisecond. */
const PIECE_BYTES = 512 * 1024;

/** A sample as one process has left it. */
export interface SampleState {
  readonly identity: SampleIdentity;
  readonly reading: SampleReading;
  readonly evidence: KeptEvidence;
  /** Upper bounds of the buckets of its durations, in seconds. */
  readonly durationBounds: readonly number[];
}

interface Header {
  readonly identity: SampleIdentity;
  readonly sinceMs: number;
  readonly evidence: KeptEvidence;
  readonly durationBounds: readonly number[];
  /** Lengths in bytes of what follows: of each set bitmap and registers, the cells of each variant, the sums. */
  readonly parts: readonly number[];
}

/** The whole sample. Some MiB for two variants; mostly zeros while keys are few, so compress it. */
export function encodeSample(sample: Sample): Buffer {
  const pieces = encodeInPieces(sample);
  for (;;) {
    const { done, value } = pieces.next();
    if (done === true) return value;
  }
}

/**
 * As encodeSample(), in pieces. A key that comes meanwhile may be missing from a set; the set of all keys is copied last, so
 * that it lacks none of the others.
 */
export function* encodeInPieces(sample: Sample): Generator<undefined, Buffer, undefined> {
  const parts = [
    ...KEY_SETS.flatMap((set) => [sample[set].allWords, sample[set].registers.all]),
    ...sample.rows.map(({ cells }) => cells),
    sample.sums,
  ].map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength));
  const header = Buffer.from(
    JSON.stringify({
      identity: sample.identity,
      sinceMs: sample.since.getTime(),
      evidence: sample.evidence.kept,
      durationBounds: durationBoundsSeconds(),
      parts: parts.map(({ length }) => length),
    } satisfies Header),
  );
  const headLength = MAGIC_BYTES + header.length;
  let length = headLength + padding(headLength);
  const starts = parts.map((part) => {
    const start = length;
    length += part.length + padding(part.length);
    return start;
  });
  // The system gives memory to a page when it is written to.
  const bytes = Buffer.from(new ArrayBuffer(length));
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(header.length, MAGIC.length);
  header.copy(bytes, MAGIC_BYTES);
  let copied = 0;
  for (let at = parts.length - 1; at >= 0; at -= 1) {
    const part = parts[at]!;
    for (let from = 0; from < part.length; from += PIECE_BYTES) {
      const end = Math.min(part.length, from + PIECE_BYTES);
      part.copy(bytes, starts[at]! + from, from, end);
      copied += end - from;
      if (copied < PIECE_BYTES) continue;
      copied = 0;
      yield;
    }
  }
  return bytes;
}

function padding(length: number): number {
  return (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;
}

/** Reads what encodeSample() wrote. Throws RangeError for anything else: another version, another size, bytes that are missing. */
export function decodeSample(bytes: Buffer): SampleState {
  if (bytes.length < MAGIC_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new RangeError('expected a sample of version 1, got something else');
  }
  const headerEnd = MAGIC_BYTES + bytes.readUInt32LE(MAGIC.length);
  const { identity, sinceMs, evidence, durationBounds, parts } = readHeader(
    bytes.subarray(MAGIC_BYTES, headerEnd),
  );
  // A sample of this identity says how long everything has to be.
  const model = new Sample(identity);
  const lengths = [
    ...KEY_SETS.flatMap((set) => [model[set].allWords.byteLength, model[set].registers.all.byteLength]),
    ...model.rows.map(({ cells }) => cells.byteLength),
    model.sums.byteLength,
  ];
  if (JSON.stringify(parts) !== JSON.stringify(lengths)) {
    throw new RangeError('expected a sample of this version of the program, got one with other sizes');
  }
  let at = headerEnd + padding(headerEnd);
  const take = (length: number): ArrayBuffer => {
    if (at + length > bytes.length) throw new RangeError(`expected ${length} bytes at ${at}, got the end`);
    // A copy is aligned, and does not keep the rest alive.
    const copy = new Uint8Array(bytes.subarray(at, at + length)).buffer;
    at += length + padding(length);
    return copy;
  };
  const keys = Object.fromEntries(
    KEY_SETS.map((set): [string, KeyChanges] => [
      set,
      {
        words: new Uint32Array(take(model[set].allWords.byteLength)),
        registers: new Uint8Array(take(model[set].registers.all.byteLength)),
      },
    ]),
  ) as SampleReading['keys'];
  const cells = model.rows.map((row) => new Float64Array(take(row.cells.byteLength)));
  const sums = new Float64Array(take(model.sums.byteLength));
  const { split, definition } = identity;
  return { identity, evidence, durationBounds, reading: { split, definition, sinceMs, cells, sums, keys } };
}

function readHeader(bytes: Buffer): Header {
  let header: Partial<Header>;
  try {
    header = JSON.parse(bytes.toString()) as Partial<Header>;
  } catch (cause) {
    throw new RangeError('expected a header in JSON', { cause });
  }
  const { identity, sinceMs, evidence, durationBounds, parts } = header;
  const isWhole =
    Array.isArray(identity?.variants) &&
    identity.variants.length > 0 &&
    typeof identity.definition === 'string' &&
    typeof sinceMs === 'number' &&
    Array.isArray(evidence?.alarms) &&
    Array.isArray(durationBounds) &&
    Array.isArray(parts);
  if (!isWhole) throw new RangeError('expected the header of a sample, got another one');
  return { identity, sinceMs, evidence: evidence!, durationBounds, parts };
}

/** A sample with what this state holds, alarms included. */
export function restoreSample(state: SampleState): Sample {
  const sample = new Sample(state.identity);
  adoptSample(sample, state);
  return sample;
}

/**
 * Goes on from an earlier process: keys, numbers, begin and alarms; durations only where both have the same buckets. The caller
 * has compared the definitions.
 */
export function adoptSample(sample: Sample, state: SampleState): void {
  const { reading, evidence } = state;
  mergeSample(sample, hasOwnBuckets(state) ? reading : withoutDurations(reading));
  sample.evidence.restore(evidence);
}

/** Its durations are in the buckets of this process: others cannot be added up, and are left out. */
export function hasOwnBuckets({ durationBounds }: SampleState): boolean {
  return String(durationBounds) === String(durationBoundsSeconds());
}

/** The same without what its histograms hold. */
export function withoutDurations(reading: SampleReading): SampleReading {
  return { ...reading, cells: reading.cells.map((cells) => withoutHistograms(EPOCH_ROW, cells)) };
}

/**
 * Takes in what another pod has counted: keys, numbers and begin, but no alarms, as a pod that sees a part of the requests
 * alone raises false ones. The caller has compared the definitions.
 */
export function mergeSample(sample: Sample, reading: SampleReading): void {
  sample.advance(null, reading);
  sample.beganAt(new Date(reading.sinceMs));
}
