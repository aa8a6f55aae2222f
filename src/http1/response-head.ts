// Reads the head of a response: version, status, reason phrase, fields. It forgives what a proxy has to repair.
// It decides what is well formed; framing.ts decides what a field means. Sources: RFC 9112 §4, RFC 9110 §15.

import { CR, LF, SP } from '../bytes.ts';
import { HEAD_LIMITS, type HeadLimits, INCOMPLETE, VALUE_BYTE } from './fields.ts';
import { Head, isVersionPrefix } from './head.ts';

/** The limits of response heads from an upstream's `limits`. */
export function responseLimits(limits: {
  readonly responseHead: number;
  readonly responseFields: number;
}): HeadLimits {
  return { ...HEAD_LIMITS, fieldsBytesMax: limits.responseHead, fieldsMax: limits.responseFields };
}

/** The head of a response. An upstream connection owns one and reuses it: `reset` it before each message. */
export class ResponseHead extends Head {
  /** Status code, 100 to 999. */
  status = 0;
  /** From the status code to the end of the reason phrase. */
  statusStart = 0;
  reasonEnd = 0;

  protected readonly badField = 'UPSTREAM_BAD_RESPONSE';
  protected readonly tooLarge = 'UPSTREAM_HEAD_TOO_LARGE';

  constructor() {
    super(true);
  }

  override describeFault(): string {
    const { fieldsBytesMax, fieldsMax } = this.limits;
    switch (this.rule) {
      case 'fieldBytes':
        return `the fields take more bytes than the upstream's limits.responseHead (${fieldsBytesMax} bytes)`;
      case 'fieldCount':
        return `there are more fields than the upstream's limits.responseFields (${fieldsMax})`;
      default:
        return super.describeFault();
    }
  }

  protected override parseStartLine(bytes: Buffer, from: number, to: number): number {
    const statusStart = from + 9;
    const head = Math.min(to, statusStart - 1);
    if (!isVersionPrefix(bytes, from, head)) return this.refuse('UPSTREAM_BAD_RESPONSE', 'notHttp');
    if (statusStart + 3 >= to) {
      if (to >= statusStart && bytes[statusStart - 1] !== SP)
        return this.refuse('UPSTREAM_BAD_RESPONSE', 'statusCode');
      return INCOMPLETE;
    }
    if (bytes[from + 5] !== 49) return this.refuse('UPSTREAM_BAD_RESPONSE', 'responseVersion');
    if (bytes[statusStart - 1] !== SP) return this.refuse('UPSTREAM_BAD_RESPONSE', 'statusCode');
    let status = 0;
    for (let i = statusStart; i < statusStart + 3; i++) {
      const digit = bytes[i]! - 48;
      if (digit < 0 || digit > 9) return this.refuse('UPSTREAM_BAD_RESPONSE', 'statusCode');
      status = status * 10 + digit;
    }
    if (status < 100) return this.refuse('UPSTREAM_BAD_RESPONSE', 'statusCode');
    let position = statusStart + 3;
    // RFC 9112 §4 wants SP even before an empty reason phrase; many servers leave it out, and that is unambiguous.
    if (bytes[position] !== SP && bytes[position] !== CR) return this.#refuseStatusLine(bytes, position);
    while (position < to && VALUE_BYTE[bytes[position]!] === 1) position++;
    if (position - from > this.limits.lineBytesMax)
      return this.refuse('UPSTREAM_HEAD_TOO_LARGE', 'lineBytes');
    if (position + 1 >= to) {
      if (position < to && bytes[position] !== CR) return this.#refuseStatusLine(bytes, position);
      return INCOMPLETE;
    }
    if (bytes[position] !== CR || bytes[position + 1] !== LF) return this.#refuseStatusLine(bytes, position);
    // A higher minor version is read as the highest one that is known (RFC 9110 §2.5).
    this.minorVersion = bytes[from + 7] === 48 ? 0 : 1;
    this.status = status;
    this.statusStart = statusStart;
    this.reasonEnd = position;
    return position + 2;
  }

  #refuseStatusLine(bytes: Buffer, badAt: number): number {
    const byte = bytes[badAt];
    const rule = byte === LF ? 'statusLineLf' : byte === CR ? 'statusLineCr' : 'reasonByte';
    return this.refuse('UPSTREAM_BAD_RESPONSE', rule, badAt);
  }

  protected override moveStartLine(delta: number): void {
    super.moveStartLine(delta);
    this.statusStart += delta;
    this.reasonEnd += delta;
  }
}
