// An answer that a route gives without an upstream (`respond`): status, body and Location, compiled once. It composes no
// head: exchange/own-answer does. Source: ngx_http_send_response in nginx's ngx_http_core_module.c.

import type { RequestView } from '../bytes.ts';
import type { RespondOptions } from '../config/options/answer.ts';
import type { TextScope } from '../key/own-variables.ts';
import { normalisePath } from '../key/path.ts';
import { type AnswerText, compileAnswerText, toFieldValue } from './answer-text.ts';
import { decodedLocation, escapedCaptures } from './escaped-captures.ts';

/** The status of an answer that is none: the connection is closed, as nginx does. */
export const CLOSE_WITHOUT_ANSWER = 444;

/** What an answer says, as it goes on the wire. */
export interface AnswerContent {
  readonly status: number;
  /** Null for the page of the status, where it has one. */
  readonly body: string | null;
  readonly contentType: string;
  /** Null for no such field. */
  readonly location: string | null;
}

/** A compiled `respond`; immutable, owned by the generation. */
export class FixedAnswer {
  readonly status: number;
  readonly #body: AnswerText | null;
  readonly #location: AnswerText | null;
  readonly #escapesCaptures: boolean;
  readonly #base: AnswerText | null;
  readonly #contentType: string;
  readonly #contentTypes: ReadonlyMap<string, string> | null;

  constructor(
    { status, body, location, escapeCaptures, locationBase, contentType, contentTypes }: RespondOptions,
    scope: TextScope,
  ) {
    this.status = status;
    this.#body = body === undefined ? null : compileAnswerText(body, scope);
    this.#escapesCaptures = escapeCaptures;
    const ofLocation = escapeCaptures ? escapedCaptures(scope) : scope;
    this.#location = location === undefined ? null : compileAnswerText(location, ofLocation);
    this.#base = locationBase === undefined ? null : compileAnswerText(locationBase, scope);
    this.#contentType = contentType;
    this.#contentTypes = contentTypes === undefined ? null : new Map(Object.entries(contentTypes));
  }

  /** The answer to this request. */
  contentFor(view: RequestView): AnswerContent {
    return {
      status: this.status,
      body: this.#body === null ? null : this.#body.make(view),
      contentType: this.#typeFor(view),
      location: this.#location === null ? null : toFieldValue(this.#locationFor(this.#location, view)),
    };
  }

  #locationFor(text: AnswerText, view: RequestView): string {
    const made = text.make(view);
    const location = this.#escapesCaptures ? decodedLocation(made) : made;
    return this.#base !== null && location.startsWith('/') ? this.#base.make(view) + location : location;
  }

  #typeFor(view: RequestView): string {
    const path = this.#contentTypes === null ? null : normalisePath(view);
    if (path === null) return this.#contentType;
    const name = Buffer.from(path).toString('latin1');
    const dot = name.lastIndexOf('.');
    if (dot <= name.lastIndexOf('/') + 1) return this.#contentType;
    return this.#contentTypes!.get(name.slice(dot + 1).toLowerCase()) ?? this.#contentType;
  }
}
