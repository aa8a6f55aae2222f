// Writes a JSON value as a sequence of small texts, so that a large one is never in memory as a whole and can be made over
// several turns of the event loop. What may be large is given as a List or as Members, which are read only when their turn
// comes.

/** An array whose entries are made one by one while it is written. */
export class List<T> {
  readonly entries: () => Iterable<T>;

  constructor(entries: () => Iterable<T>) {
    this.entries = entries;
  }

  /** `describe` is called for each value when it is written. */
  static of<V, T>(values: Iterable<V>, describe: (value: V) => T): List<T> {
    return new List(function* () {
      for (const value of values) yield describe(value);
    });
  }

  [Symbol.iterator](): Iterator<T> {
    return this.entries()[Symbol.iterator]();
  }

  toJSON(): T[] {
    return [...this.entries()];
  }
}

/** An object whose members are made one by one while it is written. */
export class Members<T> {
  readonly entries: () => Iterable<readonly [name: string, value: T]>;

  constructor(entries: () => Iterable<readonly [name: string, value: T]>) {
    this.entries = entries;
  }

  toJSON(): Record<string, T> {
    return Object.fromEntries(this.entries());
  }
}

/** What a client reads when a value of type `V` was written. */
export type AsJson<V> =
  V extends List<infer T>
    ? AsJson<T>[]
    : V extends Members<infer T>
      ? Record<string, AsJson<T>>
      : V extends object
        ? { [K in keyof V]: AsJson<V[K]> }
        : V;

/** Adjacent small texts are joined up to about this many characters. */
const PIECE_LENGTH = 4096;

/** The text of `value`, with a line end; `indent` spaces a level, 0 for one line. */
export function* jsonPieces(value: unknown, indent = 0): Iterable<string> {
  let piece = '';
  for (const text of write(value, indent, 0)) {
    piece += text;
    if (piece.length < PIECE_LENGTH) continue;
    yield piece;
    piece = '';
  }
  yield `${piece}\n`;
}

function* write(value: unknown, indent: number, depth: number): Iterable<string> {
  const line = (level: number) => (indent === 0 ? '' : `\n${' '.repeat(level * indent)}`);
  if (value instanceof List) {
    let count = 0;
    for (const entry of value.entries()) {
      yield `${count === 0 ? '[' : ','}${line(depth + 1)}`;
      yield* write(entry, indent, depth + 1);
      count += 1;
    }
    yield count === 0 ? '[]' : `${line(depth)}]`;
  } else if (value instanceof Members || isInParts(value)) {
    let count = 0;
    for (const [name, member] of value instanceof Members ? value.entries() : Object.entries(value)) {
      if (member === undefined) continue;
      yield `${count === 0 ? '{' : ','}${line(depth + 1)}${JSON.stringify(name)}:${indent === 0 ? '' : ' '}`;
      yield* write(member, indent, depth + 1);
      count += 1;
    }
    yield count === 0 ? '{}' : `${line(depth)}}`;
  } else {
    const text = JSON.stringify(value, null, indent);
    yield indent === 0 ? text : text.replaceAll('\n', line(depth));
  }
}

/** A plain object with a List or Members in it. */
function isInParts(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).some(
    (member) => member instanceof List || member instanceof Members || isInParts(member),
  );
}
