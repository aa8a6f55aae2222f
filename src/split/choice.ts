// The variant that a text names (`choose`): a map in front of a split, or in place of one. It knows nothing of shares; the
// splitter that owns it asks it first.

import type { RequestView } from '../bytes.ts';
import { type CompiledKey, compileKey } from '../key/compile.ts';
import { beginReads, type OwnVariable, type TextScope, wasRead } from '../key/own-variables.ts';

/** The text of `choose` and what it was for one request. */
export interface ExplainedChoice {
  readonly text: string;
  readonly value: string;
}

/** The compiled `choose` of one split, which owns it. */
export class ValueChoice {
  /** The value that was picked last is made of the split's own choice. */
  hasReadSplit = false;
  readonly #text: CompiledKey;
  readonly #variants: ReadonlyMap<string, number>;
  readonly #split: OwnVariable | null;

  /** `values` are those of the variants, in order. */
  constructor(text: string, values: readonly string[], scope: TextScope, own: OwnVariable | null) {
    const compiled = compileKey(text, scope);
    if ('error' in compiled) throw new Error(`broken invariant: choose: ${compiled.error}`);
    this.#text = compiled;
    this.#variants = new Map(values.map((value, index) => [Buffer.from(value).toString('latin1'), index]));
    this.#split = own;
  }

  /** What the text is for this request. */
  explain(view: RequestView): ExplainedChoice {
    return { text: this.#text.text, value: Buffer.from(this.#text.expand(view)).toString('latin1') };
  }

  /** Position of the variant; -1 where none has the value. */
  pick(view: RequestView): number {
    beginReads();
    const value = this.#text.expand(view);
    this.hasReadSplit = this.#split !== null && wasRead(this.#split);
    const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1');
    return this.#variants.get(text) ?? -1;
  }
}
