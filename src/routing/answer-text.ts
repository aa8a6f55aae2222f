// Texts with variables that go to the client: bodies and fields of answers, compiled once, made for each request.
// Knows nothing of what they are for. Source: nginx's ngx_http_complex_value.

import type { RequestView } from '../bytes.ts';
import { compileKey } from '../key/compile.ts';
import type { TextScope } from '../key/own-variables.ts';

/** A compiled text. Each character of what it makes is one byte. */
export interface AnswerText {
  make(view: RequestView): string;
}

/** Compiles a text that was checked before. */
export function compileAnswerText(text: string, scope: TextScope): AnswerText {
  const value = compileKey(text, scope);
  if ('error' in value) throw new Error(`broken invariant: a text that was checked: ${value.error}`);
  return {
    make: (view) => {
      const bytes = value.expand(view);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    },
  };
}

/** The text of a field's value: a control byte, which could end the field and begin another, is percent-encoded. */
export function toFieldValue(text: string): string {
  return text.replace(
    CONTROL_BYTE,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

const CONTROL_BYTE = /[\0-\x08\x0a-\x1f\x7f]/g;
