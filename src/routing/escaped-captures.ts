// Captures in the targets that nginx's rewrite writes: percent-encoded where the path of the request is, so that what a
// client encoded cannot become a separator. Sources: ngx_http_script_copy_capture_code (NGX_ESCAPE_ARGS) and
// ngx_http_script_regex_end_code (NGX_UNESCAPE_REDIRECT) in nginx's ngx_http_script.c.

import { PERCENT, QUESTION, type RequestView } from '../bytes.ts';
import type { TextScope } from '../key/own-variables.ts';
import { appendLatin1, cutKey, type KeyPart, keyFrom, keyLength } from '../key/variables.ts';

const PLUS = 0x2b;
const ESCAPED_IN_ARGS = /[\0-\x20"#%&+;<>?\\^`{|}\x7f-\xff]/g;

/** The scope with `$1` to `$9` encoded. */
export function escapedCaptures(scope: TextScope): TextScope {
  return {
    place: scope.place,
    jwtCookie: scope.jwtCookie,
    own(name) {
      const part = scope.own(name);
      if (part === undefined || 'refusal' in part || !/^[1-9]$/.test(name)) return part;
      return { append: (view) => appendEscaped(part, view) };
    },
  };
}

function appendEscaped(part: KeyPart, view: RequestView): void {
  const start = keyLength();
  part.append(view);
  if (!hasEscapes(view)) return;
  const text = Buffer.from(keyFrom(start)).toString('latin1');
  cutKey(start);
  appendLatin1(text.replace(ESCAPED_IN_ARGS, encodeCharacter));
}

/** The path of the request has an escape or a plus sign. */
function hasEscapes({ bytes, targetStart, targetEnd }: RequestView): boolean {
  for (let at = targetStart; at < targetEnd && bytes[at] !== QUESTION; at++)
    if (bytes[at] === PERCENT || bytes[at] === PLUS) return true;
  return false;
}

/** A character of one byte as "%XX". */
export function encodeCharacter(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** A Location whose path has escapes only where a URL needs them: those of "&" to "~" are decoded, up to its query. */
export function decodedLocation(location: string): string {
  const [, path = '', rest = ''] = /^(.*?)((?:\?|%3f).*)?$/is.exec(location)!;
  const decoded = path.replace(/%[0-9a-f]{2}/gi, (encoded) => {
    const code = Number.parseInt(encoded.slice(1), 16);
    return code > PERCENT && code < 0x7f ? String.fromCharCode(code) : encoded;
  });
  return decoded + rest.replace(/^%3f/i, '?');
}
