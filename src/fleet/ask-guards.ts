// Asks the pods of a fleet for what their guards have counted. An answer that is not what a guard says is a problem of its pod,
// and none of it is used.

import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import type { GuardReadingV1, GuardReportV1 } from '../admin/guard-reading.ts';
import { type GuardReport, unpackReading } from '../telemetry/guard-report.ts';
import { readGuardStop } from '../telemetry/guard-stop.ts';
import type { FleetAddress } from './addresses.ts';
import { askAll, UselessAnswer } from './ask.ts';
import type { ReportingProcess } from './guards.ts';

/** The counts of the largest split, with room to spare. */
const COUNTS_BYTES_MAX = 64 * 1024 * 1024;

const inflateCounts = promisify(inflateRaw);

/** What the pods that have answered say. */
export async function askGuards(addresses: readonly FleetAddress[]): Promise<ReportingProcess[]> {
  const asked = await askAll(addresses, '/guards', readGuards);
  const processes = new Map<string, ReportingProcess>();
  for (const { answer } of asked) if (answer !== null) processes.set(answer.process, answer);
  return [...processes.values()];
}

async function readGuards(text: string): Promise<ReportingProcess> {
  const { version, process, guards } = JSON.parse(text) as GuardReadingV1;
  if (version !== 1 || typeof process !== 'string' || !Array.isArray(guards))
    throw new UselessAnswer('its guards have another version');
  const reports: GuardReport[] = [];
  for (const guard of guards as readonly GuardReportV1[]) reports.push(await readReport(guard));
  return { process, reports };
}

async function readReport({ window, counts, stop, ...report }: GuardReportV1): Promise<GuardReport> {
  const { split, variants } = report;
  const bytes = await inflateCounts(Buffer.from(counts, 'base64'), { maxOutputLength: COUNTS_BYTES_MAX });
  const reading = unpackReading({ split, window }, variants.length, bytes);
  if (reading === null) throw new UselessAnswer(`the counts of split ${split} cannot be read`);
  return { ...report, stop: readGuardStop(stop), reading };
}
