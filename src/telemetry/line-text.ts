// The parts of a log line that comes with each request: JSON, byte for byte what pino writes for the same members, for a
// fraction of its cost.

import { BACKSLASH, QUOTE, SP } from '../bytes.ts';
import type { Output } from '../http1/output.ts';

const DEL = 0x7f;
/** The least number that Output.decimal cannot take. */
const DECIMAL_END = 2 ** 31;

/** Appends a text as JSON. */
export function appendQuoted(out: Output, text: string): void {
  const { length: count } = text;
  out.reserve(count + 2);
  const { bytes, length: start } = out;
  for (let i = 0; i < count; i++) {
    const character = text.charCodeAt(i);
    // JSON has another text for it, or more than one byte.
    if (character < SP || character >= DEL || character === QUOTE || character === BACKSLASH)
      return out.append(Buffer.from(JSON.stringify(text)));
    bytes[start + 1 + i] = character;
  }
  bytes[start] = QUOTE;
  bytes[start + 1 + count] = QUOTE;
  out.length = start + count + 2;
}

/** Texts that one KnownMember keeps at once; a configuration seldom has more, but addresses come and go. */
const KNOWN_MAX = 1000;

/**
 * A member whose text is one of few that no client chooses: names of the configuration and addresses of upstreams. Copying
 * its bytes takes a fraction of the time of writing them one by one (docs/performance.md).
 */
export class KnownMember {
  /** The member's name with its comma, quotes and colon: `,"split":`. */
  readonly #name: string;
  readonly #known = new Map<string, Uint8Array>();

  constructor(name: string) {
    this.#name = name;
  }

  /** Appends the member, or nothing if the text is empty. */
  appendUnlessEmpty(out: Output, text: string): void {
    if (text !== '') this.append(out, text);
  }

  append(out: Output, text: string): void {
    const known = this.#known.get(text);
    if (known !== undefined) return out.append(known);
    const bytes = Buffer.from(this.#name + JSON.stringify(text));
    if (this.#known.size === KNOWN_MAX) this.#known.clear();
    this.#known.set(text, bytes);
    out.append(bytes);
  }
}

/** Appends a whole number, as `JSON.stringify` writes it. */
export function appendCount(out: Output, count: number): void {
  if (count >= 0 && count < DECIMAL_END) out.decimal(count);
  else out.text(String(count));
}

/** Appends `thousandths / 1000`, a whole number of them, as `JSON.stringify` writes it. */
export function appendThousandths(out: Output, thousandths: number): void {
  if (thousandths >= DECIMAL_END) return out.text(String(thousandths / 1000));
  const whole = (thousandths / 1000) | 0;
  const rest = thousandths - whole * 1000;
  out.decimal(whole);
  if (rest === 0) return;
  out.text(rest < 10 ? '.00' : rest < 100 ? '.0' : '.');
  out.decimal(rest % 100 === 0 ? rest / 100 : rest % 10 === 0 ? rest / 10 : rest);
}

let second = -1;
let secondBytes = Buffer.alloc(0);

/** Appends what `Date.prototype.toISOString` says, which is called once a second. @param ms Unix time, a whole number */
export function appendTime(out: Output, ms: number): void {
  const whole = Math.floor(ms / 1000);
  if (whole !== second) {
    second = whole;
    secondBytes = Buffer.from(new Date(whole * 1000).toISOString().slice(0, -4));
  }
  const rest = ms - whole * 1000;
  out.append(secondBytes);
  if (rest < 100) out.text(rest < 10 ? '00' : '0');
  out.decimal(rest);
  out.text('Z');
}
