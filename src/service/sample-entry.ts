// One entry of a store as bytes, version 1: a line of JSON that says whose it is and how long its samples are, then each sample,
// deflated. Pure but for the compression, which is done off the event loop.

import { promisify } from 'node:util';
import { constants, deflateRaw, inflateRaw } from 'node:zlib';
import type { Sample } from '../telemetry/sample.ts';
import { decodeSample, encodeInPieces, type SampleState } from '../telemetry/sample-state.ts';
import { inTurns } from '../turns.ts';

const deflateStored = promisify(deflateRaw);
const inflateStored = promisify(inflateRaw);
const HEAD_LINE_END = 10;
const LINE_BYTES_MAX = 65_536;
/** A sample of the largest split, with room to spare. */
const STORED_SAMPLE_BYTES_MAX = 256 * 1024 * 1024;

/** Whose the samples are. */
export interface EntryHead {
  readonly version: 1;
  /** Id of the process, and of the entry. */
  readonly process: string;
  /** Host name and addresses: those of an earlier process of the same container are equal. */
  readonly owner: string;
  /** Unix time in milliseconds. */
  readonly writtenMs: number;
  /** The process has drained: nothing will be added. */
  readonly isEnded: boolean;
  /** Processes whose samples are in these. */
  readonly adopted: readonly string[];
}

export async function encodeEntry(head: EntryHead, samples: Iterable<Sample>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const sample of samples) {
    parts.push(await deflateStored(await inTurns(encodeInPieces(sample)), { level: constants.Z_BEST_SPEED }));
  }
  const line = JSON.stringify({ ...head, samples: parts.map(({ length }) => length) });
  return Buffer.concat([Buffer.from(`${line}\n`), ...parts]);
}

/** Throws RangeError for what encodeEntry() has not written. */
export function decodeHead(bytes: Buffer): EntryHead & { readonly samples: readonly number[] } {
  const end = bytes.subarray(0, LINE_BYTES_MAX).indexOf(HEAD_LINE_END);
  let head: Partial<EntryHead & { samples: readonly number[] }> | null;
  try {
    head = JSON.parse(bytes.toString('utf8', 0, Math.max(0, end))) as typeof head;
  } catch {
    throw new RangeError('expected a line of JSON, got something else');
  }
  const { version, process, owner, writtenMs, isEnded, adopted, samples } = head ?? {};
  const isWhole =
    version === 1 &&
    typeof process === 'string' &&
    typeof owner === 'string' &&
    typeof writtenMs === 'number' &&
    typeof isEnded === 'boolean' &&
    isListOf(adopted, 'string') &&
    isListOf(samples, 'number');
  if (!isWhole) throw new RangeError('expected an entry of version 1, got another one');
  return { version, process, owner, writtenMs, isEnded, adopted, samples } as ReturnType<typeof decodeHead>;
}

/** The samples after the head. Throws for bytes that are missing or wrong. */
export async function decodeSamples(bytes: Buffer, lengths: readonly number[]): Promise<SampleState[]> {
  const states: SampleState[] = [];
  let at = bytes.indexOf(HEAD_LINE_END) + 1;
  for (const length of lengths) {
    const part = bytes.subarray(at, at + length);
    if (part.length !== length) throw new RangeError(`expected ${length} bytes at ${at}, got ${part.length}`);
    states.push(decodeSample(await inflateStored(part, { maxOutputLength: STORED_SAMPLE_BYTES_MAX })));
    at += length;
  }
  return states;
}

function isListOf(value: unknown, type: string): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === type);
}
