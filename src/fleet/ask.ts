// Asks the pods of a fleet what they have counted: all at the same time up to a limit, each within a time and a size. A pod
// that does not answer, or answers something else, is a sentence and no error.

import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import { type PodReadingV1, ROW_LAYOUT, type SplitReadingV1 } from '../admin/pod-reading.ts';
import { decodeSample, type SampleState } from '../telemetry/sample-state.ts';
import { VERSION } from '../telemetry/version.ts';
import type { FleetAddress } from './addresses.ts';

/** From the connect to the last byte of the answer. */
const POD_ANSWER_MS = 5000;
const POD_BYTES_MAX = 64 * 1024 * 1024;
/** A sample of the largest split, with room to spare. */
const WHOLE_SAMPLE_BYTES_MAX = 256 * 1024 * 1024;
/** Pods that are asked at the same time: their answers are in memory together. */
const AT_ONCE = 16;

const inflateSample = promisify(inflateRaw);

/** A split of a pod with its sample; null where that is missing. */
export interface PodSplit extends Omit<SplitReadingV1, 'sample'> {
  readonly sample: SampleState | null;
}

/** What a pod said. */
export interface PodAnswer extends Omit<PodReadingV1, 'splits'> {
  readonly splits: readonly PodSplit[];
}

/** A pod that was asked. */
export interface AskedPod<Answer = PodAnswer> {
  readonly address: string;
  readonly answer: Answer | null;
  /** Why there is no answer; null where there is one. */
  readonly problem: string | null;
}

/** Asks every address what it has counted; the result has their order. */
export function askPods(addresses: readonly FleetAddress[]): Promise<AskedPod[]> {
  return askAll(addresses, '/samples', readAnswer);
}

/** Asks every address for a path of its admin port; the result has their order. `read` throws for a useless answer. */
export async function askAll<Answer>(
  addresses: readonly FleetAddress[],
  path: string,
  read: (text: string) => Promise<Answer>,
): Promise<AskedPod<Answer>[]> {
  const { Agent } = await import('undici');
  // Each round has its own connections: a pod that is gone must not hold one.
  const agent = new Agent({ connect: { timeout: POD_ANSWER_MS }, pipelining: 0 });
  const asked: AskedPod<Answer>[] = new Array(addresses.length);
  const waiting = [...addresses.keys()];
  const work = async () => {
    for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
      const { name, origin } = addresses[at]!;
      try {
        asked[at] = {
          address: name,
          answer: await read(await askPod(`${origin}${path}`, path, agent)),
          problem: null,
        };
      } catch (cause) {
        asked[at] = { address: name, answer: null, problem: problemOf(cause as Error) };
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await agent.destroy();
  return asked;
}

async function askPod(url: string, path: string, dispatcher: import('undici').Dispatcher): Promise<string> {
  const { request } = await import('undici');
  const signal = AbortSignal.timeout(POD_ANSWER_MS);
  const { statusCode, body } = await request(url, { dispatcher, signal });
  if (statusCode !== 200) {
    await body.dump();
    throw new UselessAnswer(
      statusCode === 404 ? `it has no ${path}: an older version` : `it answered ${statusCode} to ${path}`,
    );
  }
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount > POD_BYTES_MAX)
      throw new UselessAnswer(`its answer is larger than ${POD_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function readAnswer(text: string): Promise<PodAnswer> {
  let reading: PodReadingV1;
  try {
    reading = JSON.parse(text) as PodReadingV1;
  } catch {
    throw new UselessAnswer('its answer is not JSON');
  }
  if (reading?.version !== 1 || !Array.isArray(reading.splits))
    throw new UselessAnswer('its answer has another version');
  if (reading.layout !== ROW_LAYOUT)
    throw new UselessAnswer(`it runs version ${reading.program}, this is ${VERSION}: their numbers differ`);
  const splits: PodSplit[] = [];
  for (const { sample, ...split } of reading.splits) {
    splits.push({ ...split, sample: sample === null ? null : await readSample(sample) });
  }
  return { ...reading, splits };
}

async function readSample(text: string): Promise<SampleState> {
  try {
    return decodeSample(
      await inflateSample(Buffer.from(text, 'base64'), { maxOutputLength: WHOLE_SAMPLE_BYTES_MAX }),
    );
  } catch (cause) {
    throw new UselessAnswer(`its sample cannot be read: ${(cause as Error).message}`);
  }
}

/** An answer that is no use, with the sentence that says why. */
export class UselessAnswer extends Error {}

function problemOf(cause: Error): string {
  if (cause instanceof UselessAnswer) return cause.message;
  if (cause.name === 'TimeoutError') return `no answer within ${POD_ANSWER_MS / 1000} s`;
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return `no connection within ${POD_ANSWER_MS / 1000} s`;
  return code === '' ? cause.message : `${cause.message} (${code})`;
}
