// What the splitter itself takes out of messages and puts into them for one destination: the variant header, Vary, the cookie of a
// minted key, request and trace ids; and that an override goes no further. Built with the generation; a destination without any
// of this has none, so that its exchanges pay nothing. Sources: RFC 9110 §12.5.5 (Vary), W3C Trace Context §3.2.

import { randomFillSync, randomUUID } from 'node:crypto';
import { ByteRange, type RequestView } from '../bytes.ts';
import type { Config } from '../config/options/document.ts';
import { foldedName } from '../http1/field-names.ts';
import type { RequestEdit } from '../http1/forward-request.ts';
import type { DecisionExtras, Reason, Splitter } from '../split/splitter.ts';

const REQUEST_ID = 'x-request-id';
const TRACEPARENT = 'traceparent';
const TRACESTATE = 'tracestate';
const FOLDED_REQUEST_ID = foldedName(REQUEST_ID);
const FOLDED_TRACEPARENT = foldedName(TRACEPARENT);
const FOLDED_TRACE = [FOLDED_TRACEPARENT, foldedName(TRACESTATE)];

/** Edits of the messages of one destination. */
export class Edits {
  /** Names of the upstream's fields that go no further; null for none. */
  readonly droppedFromResponse: readonly Uint8Array[] | null;
  readonly #droppedFromRequest: readonly Uint8Array[];
  readonly #droppedWithId: readonly Uint8Array[];
  readonly #requestLines: string;
  readonly #responseLines: string;
  readonly #chanceLines: string;
  readonly #makesRequestIds: boolean;
  readonly #traceparent: Config['traceparent'];
  /** For requests that bring nothing of their own to edit. */
  readonly #constant: RequestEdit;

  constructor(config: Config, splitter: Splitter | null, variant: string | null) {
    const { variantHeader, requestId, traceparent } = config;
    const { name = '', to = [] } = variantHeader ?? {};
    const header = variantHeader === undefined ? [] : [foldedName(name)];
    const override = splitter?.overrideHeader ?? null;
    const line = variantHeader === undefined || variant === null ? '' : `${name}: ${variant}\r\n`;
    const varyBy = config.vary ? (splitter?.varyBy ?? []) : [];
    this.#droppedFromRequest = override === null ? header : [...header, foldedName(override)];
    this.#droppedWithId = [...this.#droppedFromRequest, FOLDED_REQUEST_ID];
    this.droppedFromResponse = to.includes('client') ? header : null;
    this.#requestLines = to.includes('upstream') ? line : '';
    const told = to.includes('client') ? line : '';
    this.#responseLines = told + (varyBy.length > 0 ? `Vary: ${varyBy.join(', ')}\r\n` : '');
    // No field tells a cache of dice.
    this.#chanceLines =
      config.vary && splitter?.isChanceWithoutKey ? `${told}Vary: *\r\n` : this.#responseLines;
    this.#makesRequestIds = requestId;
    this.#traceparent = traceparent;
    this.#constant = {
      droppedFields: this.#droppedFromRequest,
      target: null,
      cookie: null,
      addedLines: this.#requestLines,
      requestId: null,
      view: null,
    };
  }

  /** An id for a request that has none; null where it has one, or none is wanted. */
  makeRequestId(view: RequestView): string | null {
    return this.#makesRequestIds && !hasValue(view, REQUEST_ID, FOLDED_REQUEST_ID) ? randomUUID() : null;
  }

  /** How this request is edited on its way to the upstream, however often it is sent. */
  ofRequest(request: RequestView, extras: DecisionExtras | null, requestId: string | null): RequestEdit {
    const override = extras?.override ?? null;
    const makesTrace = this.#traceparent !== 'off' && !hasValue(request, TRACEPARENT, FOLDED_TRACEPARENT);
    if (override === null && requestId === null && !makesTrace) return this.#constant;
    let droppedFields = requestId === null ? this.#droppedFromRequest : this.#droppedWithId;
    let addedLines = this.#requestLines;
    if (makesTrace) {
      // A new trace begins here: what is said of another one has no meaning in it.
      droppedFields = [...droppedFields, ...FOLDED_TRACE];
      addedLines += `traceparent: ${makeTraceparent(this.#traceparent === 'sampled')}\r\n`;
    }
    const { target = null, cookie = null, view = null } = override ?? {};
    return { droppedFields, target, cookie, addedLines, requestId, view };
  }

  /** Lines for the response to a request that was decided so, whoever answers it. */
  linesOfResponse(extras: DecisionExtras | null, reason: Reason): string {
    const lines = reason === 'missing_key' ? this.#chanceLines : this.#responseLines;
    if (extras === null || extras.setCookie === null) return lines;
    // A shared cache that kept this response would give one client's key to all the others.
    return `${lines}Set-Cookie: ${extras.setCookie}\r\nCache-Control: private\r\n`;
  }
}

/** The edits of a destination; null when the configuration asks for none. */
export function editsFor(config: Config, splitter: Splitter | null, variant: string | null): Edits | null {
  const isEdited =
    config.variantHeader !== undefined ||
    config.requestId ||
    config.traceparent !== 'off' ||
    (config.vary && splitter !== null) ||
    (splitter?.hasExtras ?? false);
  return isEdited ? new Edits(config, splitter, variant) : null;
}

/** A trace and a parent. */
const IDS_BYTES = 24;
/** Random bytes for the next traces: one call to the generator for many costs little more than one for one. */
const ids = Buffer.alloc(IDS_BYTES * 128);
let idsAt = ids.length;

/** Version 00: a random trace, and a random parent that stands for the splitter. */
function makeTraceparent(isSampled: boolean): string {
  if (idsAt === ids.length) {
    randomFillSync(ids);
    idsAt = 0;
  }
  const hex = ids.toString('hex', idsAt, idsAt + IDS_BYTES);
  idsAt += IDS_BYTES;
  return `00-${hex.slice(0, 32)}-${hex.slice(32)}-0${isSampled ? 1 : 0}`;
}

/** The value that was looked for last; none outlives its call. */
const found = new ByteRange();

/** True when the request has such a field with something in it. */
function hasValue(view: RequestView, lowerName: string, lowerBytes: Uint8Array): boolean {
  // Nearly always there is none or one, and neither needs an array of views.
  const count = view.locateField?.(lowerBytes, found) ?? 2;
  if (count < 2) return count === 1 && found.end > found.start;
  return view.fieldValues(lowerName).some((value) => value.length > 0);
}
