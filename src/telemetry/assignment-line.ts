// The line of an assignment event: JSON as of line-text.ts. Users whose every request brings a new key have as many of them
// as requests.

import { Output } from '../http1/output.ts';
import type { LineSink } from './access-log.ts';
import type { AssignmentEvent, AssignmentSink } from './assignments.ts';
import { appendCount, appendQuoted, appendTime, KnownMember } from './line-text.ts';

/** Room for a line, which grows where names are long. */
const EVENT_BYTES = 512;

const BEGIN = Buffer.from('{"level":"info","time":"');
const KEY = Buffer.from(',"key":');
const GENERATION = Buffer.from(',"generation":');
const END = Buffer.from(',"msg":"assignment"}\n');
const SPLITS = new KnownMember('","split":');
const VARIANTS = new KnownMember(',"variant":');

/** Appends the line with its end. @param nowMs Unix time */
export function appendAssignmentLine(out: Output, event: AssignmentEvent, nowMs: number): void {
  out.append(BEGIN);
  appendTime(out, nowMs);
  SPLITS.append(out, event.split);
  VARIANTS.append(out, event.variant);
  out.append(KEY);
  appendQuoted(out, event.key);
  out.append(GENERATION);
  appendCount(out, event.generation);
  out.append(END);
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
