// What a route changes in the fields of responses: fields that it adds (`setResponseHeaders`) and the beginning of Location
// and Refresh (`rewriteLocation`). Compiled once, made for each response, whoever gives it.
// Sources: nginx's ngx_http_headers_filter_module.c, proxy_redirect in ngx_http_proxy_module.c.

import type { RequestView } from '../bytes.ts';
import { listResponseFields, type ResponseFieldOptions } from '../config/options/answer.ts';
import type { RewriteLocationOptions } from '../config/options/rewrite.ts';
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

/** What is known of the response that gets the fields. */
export interface AnsweredBy {
  readonly status: number;
  /** The upstream's head; null where no upstream answered. */
  readonly head: { readonly status: number; fieldValues(name: string): readonly Uint8Array[] } | null;
  /** The status of the error that the answer replaces; 0 for none. */
  readonly failedStatus: number;
  /** The addresses that were asked. */
  readonly asked: { readonly addresses: string; statuses(last: number): string };
}

/** The beginning of a Location, and what replaces it. */
interface Replacement {
  readonly from: string;
  readonly to: AnswerText;
}

const NO_VALUES: readonly Uint8Array[] = [];
const LOCATION_FIELDS = ['location', 'refresh'] as const;

/** The compiled fields of one route; immutable, owned by the generation. */
export class ResponseFields {
  /** The fields that are set or removed, as they are written. */
  readonly names: readonly string[];
  readonly #dropped: readonly Uint8Array[];
  readonly #droppedOfGood: readonly Uint8Array[];
  readonly #fields: readonly ResponseField[];
  readonly #replacements: readonly Replacement[];
  readonly #readsResponse: boolean;

  constructor(options: ResponseFieldOptions, locations: RewriteLocationOptions, scope: TextScope) {
    const fields = listResponseFields(options);
    this.names = [...new Set(fields.map(({ name }) => name))];
    const replaced = fields.filter(({ mode }) => mode === 'replace');
    this.#droppedOfGood = replaced.map(({ name }) => foldedName(name));
    this.#dropped = replaced.filter(({ on }) => on === 'all').map(({ name }) => foldedName(name));
    this.#fields = fields.map(({ name, value, on }) => ({
      name,
      value: compileAnswerText(value, scope),
      isForAll: on === 'all',
    }));
    this.#replacements = locations.map(({ from, to }) => ({ from, to: compileAnswerText(to, scope) }));
    this.#readsResponse = fields.some(({ value }) => value.includes('$'));
  }

  /** The names, by `foldedName`, of the upstream's fields that go, and whole lines in their place, each with its CRLF. */
  changesFor(view: RequestView, by: AnsweredBy): { dropped: Uint8Array[]; lines: string } {
    const { status, head } = by;
    const isGood = GOOD.has(status);
    const dropped = [...(isGood ? this.#droppedOfGood : this.#dropped)];
    let lines = '';
    if (head !== null && this.#replacements.length > 0) {
      for (const name of LOCATION_FIELDS) {
        const value = this.#relocated(head.fieldValues(name)[0], name, view);
        if (value === null) continue;
        dropped.push(foldedName(name));
        lines += `${name === 'location' ? 'Location' : 'Refresh'}: ${toFieldValue(value)}\r\n`;
      }
    }
    if (this.#readsResponse) showResponse(view, by);
    for (const { name, value, isForAll } of this.#fields) {
      if (!isForAll && !isGood) continue;
      const text = toFieldValue(value.make(view));
      if (text !== '') lines += `${name}: ${text}\r\n`;
    }
    return { dropped, lines };
  }

  /** The first replacement whose beginning the URL has; null for none. */
  #relocated(bytes: Uint8Array | undefined, name: 'location' | 'refresh', view: RequestView): string | null {
    if (bytes === undefined) return null;
    const value = Buffer.from(bytes).toString('latin1');
    const start = name === 'location' ? 0 : value.search(/(?<=url=)/i);
    if (start < 0) return null;
    for (const { from, to } of this.#replacements) {
      if (value.startsWith(from, start))
        return value.slice(0, start) + to.make(view) + value.slice(start + from.length);
    }
    return null;
  }
}

/** Gives variables like $upstream_status what they read. */
function showResponse(view: RequestView, { status, head, failedStatus, asked }: AnsweredBy): void {
  const context = view.context?.();
  if (context === undefined) return;
  const upstreamFieldValues = (name: string) => head?.fieldValues(name) ?? NO_VALUES;
  context.response = {
    status,
    upstreamStatus: asked.statuses(head?.status ?? (failedStatus || status)),
    upstreamAddress: asked.addresses,
    upstreamFieldValues,
    sentFieldValues: upstreamFieldValues,
  };
}

/** What a route changes in the fields of responses; null for nothing. */
export function compileResponseFields(
  options: ResponseFieldOptions | undefined,
  locations: RewriteLocationOptions | undefined,
  scope: TextScope,
): ResponseFields | null {
  if (Object.keys(options ?? {}).length === 0 && (locations ?? []).length === 0) return null;
  return new ResponseFields(options ?? {}, locations ?? [], scope);
}
