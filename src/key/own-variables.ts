// The variables that a configuration defines itself, as its texts read them: maps, the results of splits, captures. Each is
// made at most once for a request, when a text first reads it, and costs nothing where no text does.
// Source: nginx, ngx_http_get_indexed_variable: a variable is kept with its request unless it is volatile.

import type { RequestView } from '../bytes.ts';
import type { TextPlace } from './known-variables.ts';
import { appendBytes, cutKey, type KeyPart, keyFrom, keyLength } from './variables.ts';

/** Which variables a text can read beside those that every text can. */
export interface TextScope {
  readonly place: TextPlace;
  /** The cookie that holds the token of $jwt_sub and $jwt_claim_NAME where a request has no bearer token. */
  readonly jwtCookie?: string | undefined;
  /** The variable of this canonical name: its part, or why it cannot be used in this place; undefined for no such variable. */
  own(name: string): KeyPart | { readonly refusal: string } | undefined;
}

/** Texts that are made of a request, where the configuration defines no variable. */
export const REQUEST_SCOPE: TextScope = { place: 'request', own: () => undefined };

/** Which splits were read since the last `beginReads`, one bit each. */
let splitsRead = 0;

/** Forgets which splits were read. */
export function beginReads(): void {
  splitsRead = 0;
}

/** True when this split was read, directly or by a variable that is made of it. */
export function wasRead(split: OwnVariable): boolean {
  return (splitsRead & split.bit) !== 0;
}

/** A variable of a configuration. Its scope owns it; texts refer to it, also before it is defined. */
export class OwnVariable implements KeyPart {
  readonly name: string;
  /** Of a split: its bit. 0 for every other variable. */
  bit = 0;
  readonly #slot: number;
  #definition: KeyPart | null = null;
  #isKept = true;

  constructor(name: string, slot: number) {
    this.name = name;
    this.#slot = slot;
  }

  /** What makes its value. `isKept`: once for each request, not each time it is read. */
  define(definition: KeyPart, isKept: boolean): void {
    this.#definition = definition;
    this.#isKept = isKept;
  }

  append(view: RequestView): void {
    const context = this.#isKept ? view.context?.() : undefined;
    const kept = context?.values[this.#slot];
    if (kept != null) {
      splitsRead |= context!.madeOf[this.#slot] ?? this.bit;
      return appendBytes(kept);
    }
    const start = keyLength();
    const before = splitsRead;
    splitsRead = this.bit;
    this.#definition?.append(view);
    if (context !== undefined) {
      context.values[this.#slot] = keyFrom(start).slice();
      context.madeOf[this.#slot] = splitsRead;
    }
    splitsRead |= before;
  }

  /** The value for this request, as bytes of their own. Whatever key is being built stays as it is. */
  valueFor(view: RequestView): Uint8Array {
    const start = keyLength();
    this.append(view);
    const value = keyFrom(start).slice();
    cutKey(start);
    return value;
  }

  /** Gives it this value for the rest of the request: a capture, or a `set` of nginx. */
  assign(view: RequestView, value: Uint8Array): void {
    const context = view.context?.();
    if (context !== undefined) context.values[this.#slot] = value;
  }
}

/** The own variables of one configuration. Lives as long as its generation. */
export class OwnVariables {
  readonly #variables = new Map<string, OwnVariable>();
  readonly #ofResponse = new Set<string>();
  readonly #jwtCookie: string | undefined;
  #splits = 0;

  constructor(jwtCookie?: string) {
    this.#jwtCookie = jwtCookie;
  }

  /** The variable of this name, made where it is not there yet: its definition may come later. */
  variable(name: string): OwnVariable {
    const id = name.toLowerCase();
    let variable = this.#variables.get(id);
    if (variable === undefined) {
      variable = new OwnVariable(id, this.#variables.size);
      this.#variables.set(id, variable);
    }
    return variable;
  }

  /** The variable of a split. */
  ofSplit(name: string): OwnVariable {
    const variable = this.variable(name);
    variable.bit = 1 << (this.#splits++ % 31);
    return variable;
  }

  /** The variable reads the response, so that only texts for the client have it. */
  ofResponse(name: string): void {
    this.#ofResponse.add(name.toLowerCase());
  }

  /** The scope of texts for this place. */
  scope(place: TextPlace): TextScope {
    return { place, jwtCookie: this.#jwtCookie, own: (name) => this.#find(name, place) };
  }

  #find(name: string, place: TextPlace): KeyPart | { readonly refusal: string } | undefined {
    const variable = this.#variables.get(name);
    if (variable === undefined) return undefined;
    if (place === 'request' && this.#ofResponse.has(name)) return { refusal: OF_RESPONSE };
    return variable;
  }
}

/** Why a variable that reads the response cannot be in a text that is made before it. */
const OF_RESPONSE = 'it is known only after the upstream has answered';
