// Opens what reports exchanges: the access log and the assignment events, with their file and their secret. Taken once,
// at the start.

import type { Logger } from 'pino';
import type { Config } from '../config/options/document.ts';
import { readRegularFileSync, SECRET_BYTES_MAX } from '../regular-file.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import { AssignmentLines } from '../telemetry/assignment-line.ts';
import { Assignments, BEGAN_EARLY } from '../telemetry/assignments.ts';
import { type LogOutput, openLog } from '../telemetry/log.ts';
import type { LogLoss } from '../telemetry/running.ts';

/** Where exchanges are reported, as the configuration of the start says. */
export interface Events {
  readonly accessLog: AccessLog | null;
  readonly assignments: Assignments | null;
  /** Of the assignments; empty without them. */
  readonly secret: string;
  /** The file of the assignments; null without one. */
  readonly file: LogOutput | null;
}

/** Throws a sentence when a file cannot be opened. */
export function openEvents({ accessLog, assignments }: Config, output: LogOutput): Events {
  const { mode, sample } = accessLog;
  const { to, window: windowMs, secretFile } = assignments;
  const file = to.startsWith('/') ? openFile(to, output.log) : null;
  const secret = to === 'off' ? '' : readSecret(secretFile ?? '');
  return {
    accessLog: mode === 'off' ? null : new AccessLog(output, mode, sample / 10_000),
    assignments:
      to === 'off'
        ? null
        : new Assignments(new AssignmentLines(file ?? output), secret, windowMs, {
            beganEarly: (keys) => output.log.warn({ keys }, BEGAN_EARLY),
          }),
    secret,
    file,
  };
}

function openFile(path: string, reports: Logger): LogOutput {
  try {
    return openLog(path, { reports });
  } catch (cause) {
    throw new Error(`assignments.to: expected a file that can be written, got ${(cause as Error).message}`);
  }
}

function readSecret(file: string): string {
  try {
    const secret = readRegularFileSync(file, SECRET_BYTES_MAX).toString().trim();
    if (secret !== '') return secret;
  } catch (cause) {
    throw new Error(
      `assignments.secretFile: expected a file that can be read, got ${(cause as Error).message}`,
    );
  }
  throw new Error(`assignments.secretFile: expected a file with a secret in it, got the empty ${file}`);
}

/** Lines that this process and its workers have dropped. */
export function lossOf(output: LogOutput, { file, assignments }: Events, plane: object): LogLoss {
  // A crew adds up what its workers have dropped.
  const crew: Partial<LogLoss> = plane;
  return {
    get earlyWindows() {
      return (assignments?.earlyWindows ?? 0) + (crew.earlyWindows ?? 0);
    },
    get linesDropped() {
      const others = [file?.linesDropped, crew.linesDropped];
      return output.linesDropped.map((lines, reason) =>
        others.reduce((sum, dropped) => sum + (dropped?.[reason] ?? 0), lines),
      );
    },
  };
}
