// Compiles a text with variables, in nginx's spelling: a key, the value of a field, a value of a map, a body. Each variable
// becomes a part that appends its bytes to the text that is being made. Which variables a text can read is its scope's.
// Source: nginx, src/http/ngx_http_script.c.

import type { ByteRange, RequestView } from '../bytes.ts';
import { hintFor } from './hints.ts';
import { canonicalName } from './key-text.ts';
import { knownVariable } from './known-variables.ts';
import { REQUEST_SCOPE, type TextScope } from './own-variables.ts';
import { beginKey, type KeyPart, Literal, takeKey } from './variables.ts';

/** Why a key text cannot be compiled: "expected …, got …", and the position of the offending "$" in the text. */
export interface KeyFault {
  readonly error: string;
  readonly offset: number;
}

/**
 * A compiled key text: immutable, and usable for as many requests as its owner, a split or a field of an upstream, lives.
 * All keys are built in one buffer, so a key is read before the next one is expanded.
 */
export class CompiledKey implements KeyPart {
  /** The text as it was written. */
  readonly text: string;
  /** How many variables the text has; without any the key is a constant and never missing. */
  readonly variables: number;
  readonly #parts: readonly KeyPart[];
  readonly #first: KeyPart | null;
  readonly #isLocatable: boolean;
  readonly #literalLength: number;

  constructor(text: string, parts: readonly KeyPart[], literalLength: number) {
    this.text = text;
    this.variables = parts.filter((part) => !(part instanceof Literal)).length;
    this.#parts = parts;
    this.#first = parts.length === 1 ? parts[0]! : null;
    this.#isLocatable = this.#first?.locate !== undefined;
    this.#literalLength = literalLength;
  }

  /** The bytes that nginx would hash. The array belongs to this module: it is valid until the next `expand` of any key. */
  expand(view: RequestView): Uint8Array {
    beginKey();
    if (this.#first !== null) this.#first.append(view);
    else for (let i = 0; i < this.#parts.length; i++) this.#parts[i]!.append(view);
    return takeKey();
  }

  /** Appends the bytes to the text that is being made. */
  append(view: RequestView): void {
    for (let i = 0; i < this.#parts.length; i++) this.#parts[i]!.append(view);
  }

  /** Sets `into` to the bytes of `expand` where they are in the request already; false where they have to be made. */
  locate(view: RequestView, into: ByteRange): boolean {
    return this.#isLocatable && this.#first!.locate!(view, into);
  }

  /** True when every variable of the text was empty in the request that `key` was expanded from. */
  isMissing(key: Uint8Array): boolean {
    return key.length === this.#literalLength && this.variables > 0;
  }
}

const VARIABLE_START = /^\$(?:(\{)([A-Za-z0-9_.~-]*)|([A-Za-z0-9_]*))/;

const VARIABLE_EXPECTED =
  'a variable of $arg_NAME $http_NAME $cookie_NAME $remote_addr $host $uri $request_uri $request_method $args';

/**
 * Compiles a text in its scope: variables as `$name` or `${name}` (names in any case, as in nginx), everything else is
 * literal and taken as UTF-8. A "$" always starts a variable.
 */
export function compileKey(text: string, scope: TextScope = REQUEST_SCOPE): CompiledKey | KeyFault {
  const parts: KeyPart[] = [];
  let literalLength = 0;
  let at = 0;
  while (at < text.length) {
    const dollar = text.indexOf('$', at);
    const literalEnd = dollar === -1 ? text.length : dollar;
    if (literalEnd > at) {
      const literal = new Literal(text.slice(at, literalEnd));
      literalLength += literal.bytes.length;
      parts.push(literal);
    }
    if (dollar === -1) break;
    const [whole = '', open = '', braced, plain = ''] = VARIABLE_START.exec(text.slice(dollar)) ?? [];
    const name = braced ?? plain;
    let end = dollar + whole.length;
    if (open !== '' && name !== '' && text[end] !== '}') {
      const got = end < text.length ? JSON.stringify(text.slice(end, end + 10)) : 'the end of the text';
      return { error: `expected "}" after ${JSON.stringify(whole)}, got ${got}`, offset: dollar };
    }
    if (open !== '' && name !== '') end++;
    const part = findVariable(name, scope);
    if (typeof part === 'string') {
      const got = JSON.stringify(text.slice(dollar, end));
      return { error: `expected ${part}, got ${got}`, offset: dollar };
    }
    parts.push(part);
    at = end;
  }
  return new CompiledKey(text, parts, literalLength);
}

/** The part of a variable, or what is expected in its place. An own variable hides a family like $arg_NAME, as in nginx. */
function findVariable(name: string, scope: TextScope): KeyPart | string {
  const own = scope.own(name.toLowerCase());
  if (own !== undefined && 'refusal' in own) {
    return `another variable than $${name.toLowerCase()} here, because ${own.refusal}`;
  }
  const part = own ?? knownVariable(canonicalName(name), scope.place, scope.jwtCookie);
  return part ?? `${VARIABLE_EXPECTED}${hintFor(name.toLowerCase())}`;
}

/** What is wrong with a text in its scope, or null: for the checks of a configuration. */
export function checkKey(text: string, scope: TextScope = REQUEST_SCOPE): KeyFault | null {
  const key = compileKey(text, scope);
  return 'error' in key ? key : null;
}
