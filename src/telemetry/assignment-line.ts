// The line of an assignment event: JSON as of line-text.ts. Users whose every request brings a new key have as many of them
// as requests.

import { Output } from '../http1/output.ts';
import type { LineSink } from './access-log.ts';
import type { AssignmentEvent, AssignmentSink } from './assignments.ts';
import { appendCount, appendQuoted, appendTime, KnownMember } from './line-text.ts';

/** Room for a line, which grows where names are long. */
const EVENT_BYTES = 512;

const EVENT = {
  begin: Buffer.from('{"level":"info","time":"'),
  split: new KnownMember('","split":'),
  variant: new KnownMember(',"variant":'),
  key: Buffer.from(',"key":'),
  generation: Buffer.from(',"generation":'),
  end: Buffer.from(',"msg":"assignment"}\n'),
} as const;

/** Appends the line with its end. @param nowMs Unix time */
export function appendAssignmentLine(out: Output, event: AssignmentEvent, nowMs: number): void {
  out.append(EVENT.begin);
  appendTime(out, nowMs);
  EVENT.split.append(out, event.split);
  EVENT.variant.append(out, event.variant);
  out.append(EVENT.key);
  appendQuoted(out, event.key);
  out.append(EVENT.generation);
  appendCount(out, event.generation);
  out.append(EVENT.end);
}

/** Writes the events to an output of the log, whatever its level is. */
export class AssignmentLines implements AssignmentSink {
  readonly #output: LineSink;
  readonly #line = new Output(EVENT_BYTES);

  constructor(output: LineSink) {
    this.#output = output;
  }

  write(event: AssignmentEvent): void {
    const line = this.#line;
    line.clear();
    appendAssignmentLine(line, event, Date.now());
    this.#output.writeBytes(line.bytes, line.length);
  }
}
