// Fields of a request that the configuration sets (`setHeaders`, `host: $host`): texts with variables, compiled once,
// made for each request. Knows nothing of what else becomes of a request head.
// Source: nginx's proxy_set_header in ngx_http_proxy_module.c.

import type { RequestView } from '../bytes.ts';
import { foldedName } from '../http1/field-names.ts';
import type { HostText, SetFields } from '../http1/forward-request.ts';
import { FORWARDED_FIELD } from '../http1/forwarded.ts';
import { type CompiledKey, compileKey } from '../key/compile.ts';
import { REQUEST_SCOPE, type TextScope } from '../key/own-variables.ts';

/** Compiles `setHeaders` of an upstream; null when it sets nothing. */
export function compileSetFields(
  fields: Readonly<Record<string, string>> | undefined,
  scope: TextScope = REQUEST_SCOPE,
): SetFields | null {
  // What an upstream sets stands above what all of them set, in whatever case either is written.
  const own = new Map(Object.entries(fields ?? {}).map((field) => [field[0].toLowerCase(), field]));
  return own.size === 0 ? null : new CompiledFields([...own.values()], scope);
}

/** Compiles `host` of an upstream that has variables. Without a host in the request it is `authority`. */
export function compileHost(text: string, authority: string, scope: TextScope = REQUEST_SCOPE): HostText {
  const key = compiled(text, scope);
  return {
    textFor: (head) => {
      const host = key.expand(head);
      return key.isMissing(host) ? authority : latin1(host);
    },
  };
}

class CompiledFields implements SetFields {
  readonly names: readonly Uint8Array[];
  readonly forwarded: number;
  readonly #lines: readonly { readonly start: string; readonly value: CompiledKey }[];

  constructor(fields: readonly (readonly [name: string, value: string])[], scope: TextScope) {
    this.names = fields.map(([name]) => foldedName(name));
    this.forwarded = fields.reduce(
      (bits, [name]) => bits | (FORWARDED_FIELD.get(name.toLowerCase()) ?? 0),
      0,
    );
    this.#lines = fields.map(([name, value]) => ({ start: `${name}: `, value: compiled(value, scope) }));
  }

  linesFor(request: RequestView): string {
    let lines = '';
    for (const { start, value } of this.#lines) {
      const bytes = value.expand(request);
      if (bytes.length > 0) lines += `${start}${latin1(bytes)}\r\n`;
    }
    return lines;
  }
}

function compiled(text: string, scope: TextScope): CompiledKey {
  const value = compileKey(text, scope);
  if ('error' in value) throw new Error(`broken invariant: a value that was checked: ${value.error}`);
  return value;
}

/** $uri is decoded: "%0d%0a" in a path would otherwise end the field and begin one of the client's making. */
function latin1(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  return text.replace(
    CONTROL,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/g;
