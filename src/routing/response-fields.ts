// Fields that the configuration adds to responses (`setResponseHeaders`): texts with variables, compiled once, made for
// each response, whoever gives it. Source: nginx's ngx_http_headers_filter_module.c.

import type { RequestView } from '../bytes.ts';
import { listResponseFields, type ResponseFieldOptions } from '../config/options/answer.ts';
import { foldedName } from '../http1/field-names.ts';
import type { TextScope } from '../key/own-variables.ts';
import { type AnswerText, compileAnswerText, toFieldValue } from './answer-text.ts';

interface ResponseField {
  readonly name: string;
  readonly value: AnswerText;
  readonly isForAll: boolean;
}

/** Statuses that get the fields of `on: good`, as those of nginx's add_header without "always". */
const GOOD = new Set([200, 201, 204, 206, 301, 302, 303, 304, 307, 308]);

/** The compiled fields of one route; immutable, owned by the generation. */
export class ResponseFields {
  /** Names of the upstream's fields that go for all of these responses, by `foldedName`; null for none. */
  readonly dropped: readonly Uint8Array[] | null;
  readonly #fields: readonly ResponseField[];

  constructor(options: ResponseFieldOptions, scope: TextScope) {
    const fields = listResponseFields(options);
    const dropped = fields.filter(({ mode }) => mode === 'replace').map(({ name }) => foldedName(name));
    this.dropped = dropped.length === 0 ? null : dropped;
    this.#fields = fields.map(({ name, value, on }) => ({
      name,
      value: compileAnswerText(value, scope),
      isForAll: on === 'all',
    }));
  }

  /** Whole lines, each with its CRLF, for a response of this status. */
  linesFor(view: RequestView, status: number): string {
    let lines = '';
    for (const { name, value, isForAll } of this.#fields) {
      if (!isForAll && !GOOD.has(status)) continue;
      const text = toFieldValue(value.make(view));
      if (text !== '') lines += `${name}: ${text}\r\n`;
    }
    return lines;
  }
}

/** The fields that a route adds; null for none. */
export function compileResponseFields(
  options: ResponseFieldOptions | undefined,
  scope: TextScope,
): ResponseFields | null {
  if (options === undefined || Object.keys(options).length === 0) return null;
  return new ResponseFields(options, scope);
}
