// `$1` to `$9` of an nginx.conf in texts that outlive the match, such as fields: the groups of the patterns get names, and
// each text reads the name. Only for files that have such a text. Source: nginx's ngx_http_script_copy_capture_code.

import type { Directive } from './syntax.ts';

/** Directives whose texts are made after the way through a location is chosen. */
const LATE_TEXTS = /^(?:proxy_set_header|add_header|proxy_pass|proxy_redirect)$/;
const CAPTURE_DIGITS = '123456789';

/** Whether a text of these blocks reads what a pattern captured by number. */
export function readsNumbered(directives: readonly Directive[]): boolean {
  return directives.some(
    ({ name, words, block }) =>
      (LATE_TEXTS.test(name.text) && words.some(({ text }) => /\$\{?[1-9]/.test(text))) ||
      (block !== null && readsNumbered(block)),
  );
}

/** What a pattern is compared with: each has names of its own, so that a later match leaves them as they are. */
type Compared = 'host' | 'path' | 'if';

/** The variables of groups to which the file gives no name. */
export function captureNames(): string[] {
  return (['host', 'path', 'if'] as const).flatMap((compared) =>
    Array.from(CAPTURE_DIGITS, (digit) => captureName(compared, Number(digit))),
  );
}

function captureName(compared: Compared, group: number): string {
  return `${compared}_capture_${group}`;
}

/** What has one value, or one text, after a pattern with these captures has matched; null for no pattern. */
export function afterMatch(
  literals: ReadonlyMap<string, string>,
  texts: ReadonlyMap<string, string> | null,
): ReadonlyMap<string, string> {
  return texts === null ? literals : new Map([...literals, ...texts]);
}

/** The literals without `$1` to `$9`: for a text that its own pattern gives them. */
export function withoutNumbered(literals: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return literals.has('1') ? new Map([...literals].filter(([name]) => !/^[1-9]$/.test(name))) : literals;
}

/** Texts of `$1` to `$9` where no pattern captured anything. */
const NOTHING_CAPTURED: ReadonlyMap<string, string> = new Map(
  Array.from(CAPTURE_DIGITS, (digit) => [digit, ''] as const),
);

/** The pattern with a name for each of its groups, and the texts of `$1` to `$9` after it has matched. */
export function nameCaptures(
  pattern: string,
  compared: Compared,
): { readonly pattern: string; readonly texts: ReadonlyMap<string, string> } {
  const texts = new Map(NOTHING_CAPTURED);
  let named = '';
  let inClass = false;
  let group = 0;
  for (let at = 0; at < pattern.length; at++) {
    const one = pattern[at]!;
    if (one === '\\') {
      named += one + (pattern[++at] ?? '');
      continue;
    }
    if (one === '[' && !inClass) {
      // "]" as the first of a class is a character of it.
      const first = /^\[\^?\]?/.exec(pattern.slice(at))![0];
      named += first;
      at += first.length - 1;
      inClass = true;
      continue;
    }
    if (one === ']') inClass = false;
    named += one;
    if (one !== '(' || inClass) continue;
    const [mark = '', name] = /^\?(?:P?<([A-Za-z_]\w*)>)?/.exec(pattern.slice(at + 1)) ?? [];
    if (mark !== '' && name === undefined) continue;
    group += 1;
    if (mark === '') named += `?<${captureName(compared, group)}>`;
    if (group <= CAPTURE_DIGITS.length)
      texts.set(String(group), `\${${name ?? captureName(compared, group)}}`);
  }
  return { pattern: named, texts };
}

/** The same for the hosts of a server. One without a group leaves the variables of the others empty. */
export function nameHostCaptures(hosts: readonly (string | undefined)[]): {
  readonly hosts: readonly (string | undefined)[];
  readonly texts: ReadonlyMap<string, string>;
} {
  const all = new Map(NOTHING_CAPTURED);
  const named = hosts.map((host) => {
    if (host?.startsWith('~') !== true) return host;
    const { pattern, texts } = nameCaptures(host, 'host');
    for (const [digit, text] of texts) if (text !== '') all.set(digit, text);
    return pattern;
  });
  return { hosts: named, texts: all };
}
