// What a splitter tells to the fleet that judges its guards: for each guard with `fleet` its options, its stop and its counts,
// as one JSON value of version 1. Counts are the deflated bytes of telemetry/guard-report.ts. It holds no key.

import { promisify } from 'node:util';
import { constants, deflateRaw } from 'node:zlib';
import { type GuardReport, packReading } from '../telemetry/guard-report.ts';
import { processId } from '../telemetry/process-id.ts';
import type { Running } from '../telemetry/running.ts';

/** One guard as a pod tells it. */
export interface GuardReportV1 extends Omit<GuardReport, 'reading'> {
  readonly window: number;
  /** packReading(), deflated, in base64. */
  readonly counts: string;
}

/** The answer of /guards. */
export interface GuardReadingV1 {
  readonly version: 1;
  readonly process: string;
  readonly guards: readonly GuardReportV1[];
}

const deflateCounts = promisify(deflateRaw);

/** The text in pieces; counts are compressed off the event loop, one guard after the other. */
export async function* guardPieces({ guards, generation }: Running): AsyncIterable<string> {
  const head: Omit<GuardReadingV1, 'guards'> = { version: 1, process: processId() };
  yield `${JSON.stringify(head).slice(0, -1)},"guards":[`;
  let isFirst = true;
  for (const { reading, ...report } of guards.reports(generation.splitters)) {
    const bytes = await deflateCounts(packReading(reading), { level: constants.Z_BEST_SPEED });
    const one: GuardReportV1 = { ...report, window: reading.window, counts: bytes.toString('base64') };
    yield `${isFirst ? '' : ','}${JSON.stringify(one)}`;
    isFirst = false;
  }
  yield ']}\n';
}
