// Which requests take part in an experiment: conditions on the variables of a request, compiled once. They compare raw
// bytes, as keys do, and know equality, prefix, list, presence and their combinations; nothing more. Values are compared
// where they are in the request; only those that have to be made are copied.

import murmurhash from 'murmurhash';
import { ByteRange, type RequestView } from '../bytes.ts';
import type { WhenConfig } from '../config/options/experiment.ts';
import { type CompiledKey, compileKey } from '../key/compile.ts';
import type { TextScope } from '../key/own-variables.ts';

/** A compiled condition. Immutable; the splitter that compiled it owns it. */
export interface Condition {
  holds(view: RequestView): boolean;
}

/** Compiles a condition; throws on a broken invariant, as the configuration was validated before. */
export function compileCondition(when: WhenConfig, scope: TextScope): Condition {
  if (when.all !== undefined) return new All(when.all.map((one) => compileCondition(one, scope)));
  if (when.any !== undefined) return new AtLeastOne(when.any.map((one) => compileCondition(one, scope)));
  if (when.not !== undefined) return new Not(compileCondition(when.not, scope));
  const value = compileKey(when.variable ?? '', scope);
  if ('error' in value) throw new Error(`broken invariant: the variable of a condition: ${value.error}`);
  if (when.is !== undefined) return new Equal(value, bytesOfText(when.is));
  if (when.prefix !== undefined) return new Prefix(value, bytesOfText(when.prefix));
  if (when.in !== undefined) {
    const list = when.in.map(bytesOfText);
    return list.length <= SHORT_LIST_MAX ? new OneOfFew(value, list) : new OneOfMany(value, list);
  }
  return new Present(value, when.present !== false);
}

/** The texts of the variables that a condition reads. */
export function variablesOfWhen(when: WhenConfig): string[] {
  const below = [...(when.all ?? []), ...(when.any ?? []), ...(when.not === undefined ? [] : [when.not])];
  return [...(when.variable === undefined ? [] : [when.variable]), ...below.flatMap(variablesOfWhen)];
}

/** A condition in words: `$http_x_plan is "pro" and not ($uri begins with "/admin")`. */
export function describeWhen(when: WhenConfig): string {
  if (when.all !== undefined) return joined(when.all, ' and ');
  if (when.any !== undefined) return joined(when.any, ' or ');
  if (when.not !== undefined) return `not (${describeWhen(when.not)})`;
  const { variable = '' } = when;
  if (when.is !== undefined) return `${variable} is ${JSON.stringify(when.is)}`;
  if (when.prefix !== undefined) return `${variable} begins with ${JSON.stringify(when.prefix)}`;
  if (when.in !== undefined) {
    const shown = when.in.slice(0, LISTED_TEXTS_MAX).map((text) => JSON.stringify(text));
    const more = when.in.length > LISTED_TEXTS_MAX ? ` or ${when.in.length - LISTED_TEXTS_MAX} more` : '';
    return `${variable} is one of ${shown.join(', ')}${more}`;
  }
  return `${variable} is ${when.present === false ? 'absent' : 'present'}`;
}

/** Texts of a list that are shown. */
const LISTED_TEXTS_MAX = 5;
/** Lists up to this length are compared one by one, longer ones by hash. */
const SHORT_LIST_MAX = 8;

function joined(conditions: readonly WhenConfig[], word: string): string {
  const texts = conditions.map((one) => {
    const isNested = (one.all ?? one.any ?? []).length > 1;
    return isNested ? `(${describeWhen(one)})` : describeWhen(one);
  });
  return texts.join(word);
}

function bytesOfText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Where the value is that a condition compares. Each condition sets it before it reads it. */
const VALUE = new ByteRange();

function findValue(value: CompiledKey, view: RequestView): void {
  if (value.locate(view, VALUE)) return;
  const bytes = value.expand(view);
  VALUE.set(bytes, 0, bytes.length);
}

function valueBeginsWith(text: Uint8Array): boolean {
  const { bytes, start, end } = VALUE;
  if (end - start < text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text[i]) return false;
  return true;
}

function valueEquals(text: Uint8Array): boolean {
  return VALUE.end - VALUE.start === text.length && valueBeginsWith(text);
}

class Equal implements Condition {
  readonly #value: CompiledKey;
  readonly #text: Uint8Array;

  constructor(value: CompiledKey, text: Uint8Array) {
    this.#value = value;
    this.#text = text;
  }

  holds(view: RequestView): boolean {
    findValue(this.#value, view);
    return valueEquals(this.#text);
  }
}

class Prefix implements Condition {
  readonly #value: CompiledKey;
  readonly #text: Uint8Array;

  constructor(value: CompiledKey, text: Uint8Array) {
    this.#value = value;
    this.#text = text;
  }

  holds(view: RequestView): boolean {
    findValue(this.#value, view);
    return valueBeginsWith(this.#text);
  }
}

class OneOfFew implements Condition {
  readonly #value: CompiledKey;
  readonly #list: readonly Uint8Array[];

  constructor(value: CompiledKey, list: readonly Uint8Array[]) {
    this.#value = value;
    this.#list = list;
  }

  holds(view: RequestView): boolean {
    findValue(this.#value, view);
    for (let i = 0; i < this.#list.length; i++) if (valueEquals(this.#list[i]!)) return true;
    return false;
  }
}

class OneOfMany implements Condition {
  readonly #value: CompiledKey;
  readonly #byHash = new Map<number, Uint8Array[]>();

  constructor(value: CompiledKey, list: readonly Uint8Array[]) {
    this.#value = value;
    for (const text of list) {
      const hash = murmurhash.v2(text, 0);
      this.#byHash.set(hash, [...(this.#byHash.get(hash) ?? []), text]);
    }
  }

  holds(view: RequestView): boolean {
    // Hashes are of whole arrays, which `expand` has without a new one.
    const value = this.#value.expand(view);
    const list = this.#byHash.get(murmurhash.v2(value, 0));
    if (list === undefined) return false;
    VALUE.set(value, 0, value.length);
    for (let i = 0; i < list.length; i++) if (valueEquals(list[i]!)) return true;
    return false;
  }
}

class Present implements Condition {
  readonly #value: CompiledKey;
  readonly #isWanted: boolean;

  constructor(value: CompiledKey, isWanted: boolean) {
    this.#value = value;
    this.#isWanted = isWanted;
  }

  holds(view: RequestView): boolean {
    const isMissing = this.#value.locate(view, VALUE)
      ? VALUE.start === VALUE.end
      : this.#value.isMissing(this.#value.expand(view));
    return isMissing !== this.#isWanted;
  }
}

class Not implements Condition {
  readonly #condition: Condition;

  constructor(condition: Condition) {
    this.#condition = condition;
  }

  holds(view: RequestView): boolean {
    return !this.#condition.holds(view);
  }
}

class All implements Condition {
  readonly #conditions: readonly Condition[];

  constructor(conditions: readonly Condition[]) {
    this.#conditions = conditions;
  }

  holds(view: RequestView): boolean {
    for (let i = 0; i < this.#conditions.length; i++) if (!this.#conditions[i]!.holds(view)) return false;
    return true;
  }
}

class AtLeastOne implements Condition {
  readonly #conditions: readonly Condition[];

  constructor(conditions: readonly Condition[]) {
    this.#conditions = conditions;
  }

  holds(view: RequestView): boolean {
    for (let i = 0; i < this.#conditions.length; i++) if (this.#conditions[i]!.holds(view)) return true;
    return false;
  }
}
