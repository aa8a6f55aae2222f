// What a group of a regular expression can capture, where that is a short list: `(blue|green)`, `v([12])`. By it a map whose
// value is a capture leads to upstreams that the file names. Source: pcre2pattern(3), for the forms that are read.

const TEXTS_MAX = 64;

/** The texts that each group can capture, by its number and by its name in lower case; without those that can be many. */
export function closedLists(pattern: string): ReadonlyMap<string, readonly string[]> {
  const lists = new Map<string, readonly string[]>();
  const open: { readonly start: number; readonly ids: readonly string[] }[] = [];
  let group = 0;
  for (let at = 0; at < pattern.length; at++) {
    const one = pattern[at];
    if (one === '\\') at++;
    else if (one === '[') at = endOfClass(pattern, at);
    else if (one === '(') {
      const [mark = '', name] = /^\?(?:P?<([A-Za-z_]\w*)>|:)?/.exec(pattern.slice(at + 1)) ?? [];
      const isGroup = mark === '' || name !== undefined;
      const ids = isGroup ? [String(++group), ...(name === undefined ? [] : [name.toLowerCase()])] : [];
      open.push({ start: at + 1 + mark.length, ids });
    } else if (one === ')') {
      const { start, ids } = open.pop() ?? { start: at, ids: [] };
      const list = ids.length === 0 ? null : textsMatching(pattern.slice(start, at));
      if (list !== null) for (const id of ids) lists.set(id, list);
    }
  }
  return lists;
}

/** The place of the "]" that ends a class. */
function endOfClass(pattern: string, start: number): number {
  let at = start + 1;
  if (pattern[at] === '^') at++;
  if (pattern[at] === ']') at++;
  for (; at < pattern.length && pattern[at] !== ']'; at++) if (pattern[at] === '\\') at++;
  return at;
}

/** Every text that matches an alternation of plain characters and classes; null where there is more in it, or too many. */
function textsMatching(source: string): readonly string[] | null {
  let all: string[] = [];
  for (const branch of source.split('|')) {
    let texts = [''];
    const pieces = branch.match(PIECE) ?? [];
    if (pieces.join('') !== branch) return null;
    for (const piece of pieces) {
      const characters = piece.startsWith('[')
        ? charactersOf(piece.slice(1, -1))
        : [piece.replace(/^\\/, '')];
      if (characters.length * texts.length > TEXTS_MAX) return null;
      texts = texts.flatMap((text) => characters.map((character) => text + character));
    }
    all = [...all, ...texts];
    if (all.length > TEXTS_MAX) return null;
  }
  return all;
}

/** A character that means itself, an escaped mark, or a class of characters and ranges. */
const PIECE = /[^\\[\](){}*+?.^$|]|\\[^A-Za-z0-9]|\[[A-Za-z0-9_-]+\]/g;

function charactersOf(inside: string): string[] {
  return (inside.match(/[A-Za-z0-9_]-[A-Za-z0-9_]|./g) ?? []).flatMap((one) => {
    if (one.length === 1) return [one];
    const [from, to] = [one.charCodeAt(0), one.charCodeAt(2)];
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, step) => String.fromCharCode(from + step));
  });
}
