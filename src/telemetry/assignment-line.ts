// The line of an assignment event: JSON text as of line-text.ts. Users whose every request brings a new key have as many of
// them as requests.

import type { LineSink } from './access-log.ts';
import type { AssignmentEvent, AssignmentSink } from './assignments.ts';
import { formatTime, quote } from './line-text.ts';

/** The line with its end. @param nowMs Unix time */
export const formatAssignmentLine = ({ split, variant, key, generation }: AssignmentEvent, nowMs: number) =>
  `{"level":"info","time":"${formatTime(nowMs)}","split":${quote(split)},"variant":${quote(variant)},"key":"${key}","generation":${generation},"msg":"assignment"}\n`;

/** Writes the events to an output of the log, whatever its level is. */
export class AssignmentLines implements AssignmentSink {
  readonly #output: LineSink;

  constructor(output: LineSink) {
    this.#output = output;
  }

  write(event: AssignmentEvent): void {
    this.#output.write(formatAssignmentLine(event, Date.now()));
  }
}
