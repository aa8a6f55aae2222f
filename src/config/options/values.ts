// The kinds of values that options take: durations, sizes, numbers, words, texts. Each helper checks a value, says what
// it expected, and registers the option's sentence for the manual. Knows no option by name.

// The mini form of zod has the same checks as functions. The full form makes some sixty methods for each of these
// schemas, at every start: 24 ms and 9 MiB against 5 ms and 2 MiB.
import * as z from 'zod/mini';

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const DURATION_UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const SIZE = /^(\d+)(B|KiB|MiB|GiB)$/;
const SIZE_UNIT_BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** "250ms" "5s" "1m" "1h" -> milliseconds; undefined for anything else. */
function parseDuration(text: string): number | undefined {
  const ms = parseFineDuration(text);
  return ms === undefined ? undefined : Math.round(ms);
}

/** "2.5ms" -> 2.5, to the microsecond. */
function parseFineDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  return (
    Math.round(Number(match[1]) * DURATION_UNIT_MS[match[2] as keyof typeof DURATION_UNIT_MS] * 1000) / 1000
  );
}

/** "8KiB" "1MiB" "512B" -> bytes; undefined for anything else. */
function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * SIZE_UNIT_BYTES[match[2] as keyof typeof SIZE_UNIT_BYTES];
}

/** What the manual says of an option in addition to its sentence. */
interface ManualEntry {
  readonly kind: string;
  readonly pattern?: string;
  readonly range?: string;
  /** A list of one may be written without its brackets. */
  readonly single?: boolean;
}

/** Registers the sentence of an option and how its value is written. */
export function documented<T extends z.ZodMiniType>(
  schema: T,
  doc: string,
  entry: string | ManualEntry = 'string',
): T {
  const shown = typeof entry === 'string' ? { kind: entry } : entry;
  z.globalRegistry.add(schema, { description: doc, ...shown });
  return schema;
}

/** A text that `read` turns into a value; where it gives undefined, `expected` is the message. */
export function textRead<T>(expected: string, read: (text: string) => T | undefined) {
  return z.pipe(
    z.string({ error: expected }),
    z.transform((text: string, { issues }) => {
      const value = read(text);
      if (value !== undefined) return value;
      issues.push({ code: 'custom', message: expected, input: text });
      return z.NEVER;
    }),
  );
}

/** A text of this form. */
export function matching(form: RegExp, expected: string) {
  return z.string({ error: expected }).check(z.regex(form, { error: expected }));
}

/** A text of at least one character. */
export function filled(expected: string) {
  return z.string({ error: expected }).check(z.minLength(1, { error: expected }));
}

/** A list of one to `max` entries. */
export function filledList<T extends z.ZodMiniType>(
  entry: T,
  expected: string,
  max = Number.POSITIVE_INFINITY,
) {
  const list = z.array(entry, { error: expected }).check(z.minLength(1, { error: expected }));
  return max === Number.POSITIVE_INFINITY ? list : list.check(z.maxLength(max, { error: expected }));
}

/** A map of options; every one of them has a default, so the map may be left out, which no type of zod says. */
export function mapOption<T extends z.core.$ZodLooseShape>(shape: T, doc: string) {
  return documented(z.prefault(z.strictObject(shape), {} as never), doc, 'map');
}

interface Bounds<T> {
  readonly min: T;
  readonly max: T;
  readonly default: T;
  readonly doc: string;
}

function rangeOf({ min, max }: { min: string | number; max: string | number }): string {
  return `${min} to ${max}`;
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

/** A duration, in milliseconds once it is read, that has no default. */
export function durationWithoutDefault(option: Omit<Bounds<string>, 'default'>) {
  const min = parseDuration(option.min)!;
  const max = parseDuration(option.max)!;
  const expected = `a duration from ${rangeOf(option)} like 250ms, 5s or 1m`;
  const read = textRead(expected, (text) => within(parseDuration(text), min, max));
  return documented(read, option.doc, { kind: 'duration', pattern: DURATION.source, range: rangeOf(option) });
}

/** A duration, in milliseconds once it is read. */
export function duration(option: Bounds<string>) {
  return z.prefault(durationWithoutDefault(option), option.default);
}

/** A duration, in milliseconds and parts of them once it is read, that is an entry of a list. */
export function fineDuration({ minMs, maxMs }: { minMs: number; maxMs: number }, expected: string) {
  const read = textRead(expected, (text) => within(parseFineDuration(text), minMs, maxMs));
  z.globalRegistry.add(read, { pattern: DURATION.source });
  return read;
}

/** A size, in bytes once it is read, that has no default. */
export function sizeWithoutDefault(option: Omit<Bounds<string>, 'default'>) {
  const min = parseSize(option.min)!;
  const max = parseSize(option.max)!;
  const expected = `a size from ${rangeOf(option)} like 8KiB or 1MiB`;
  const read = textRead(expected, (text) => within(parseSize(text), min, max));
  return documented(read, option.doc, { kind: 'size', pattern: SIZE.source, range: rangeOf(option) });
}

/** A size, in bytes once it is read. */
export function size(option: Bounds<string>) {
  return z.prefault(sizeWithoutDefault(option), option.default);
}

/** A whole number between two bounds. */
export function numberWithin({ min, max }: { min: number; max: number }, expected: string) {
  return z
    .int({ error: expected })
    .check(z.minimum(min, { error: expected }), z.maximum(max, { error: expected }));
}

/** A whole number that has no default. */
export function integerWithoutDefault(option: Omit<Bounds<number>, 'default'>) {
  const number = numberWithin(option, `a whole number from ${rangeOf(option)}`);
  return documented(z.optional(number), option.doc, { kind: 'integer', range: rangeOf(option) });
}

/** A whole number with a default. */
export function integer(option: Bounds<number>) {
  const number = numberWithin(option, `a whole number from ${rangeOf(option)}`);
  const entry = { kind: 'integer', range: rangeOf(option) };
  return documented(z._default(number, option.default), option.doc, entry);
}

/** True or false. */
export function flag(option: { readonly default: boolean; readonly doc: string }) {
  const schema = z._default(z.boolean({ error: 'true or false' }), option.default);
  return documented(schema, option.doc, 'boolean');
}

/** One of a few words. */
export function choice<const T extends readonly string[]>(
  words: T,
  option: { readonly default: NoInfer<T[number]>; readonly doc: string },
) {
  const expected = `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
  const schema = z._default(z.enum(words, { error: expected }), option.default);
  return documented(schema, option.doc, words.join(' | '));
}

const NAME_EXPECTED = 'a name of letters, digits, "_", "-", "." or ":", 63 characters at most';

/** The name of a variant, a split or an upstream. */
export const entryName = matching(/^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,62}$/, NAME_EXPECTED);

/** Fields that mean something to the message, the connection or the splitter itself. */
const RESERVED_FIELD =
  /^(?:accept(?:-.*)?|age|allow|authorization|cache-control|connection|content-.*|cookie|date|etag|expect|expires|forwarded|from|host|if-.*|keep-alive|last-modified|location|max-forwards|origin|pragma|proxy-.*|range|referer|retry-after|server|set-cookie|te|traceparent|tracestate|trailer|transfer-encoding|upgrade|user-agent|vary|via|warning|www-authenticate|x-forwarded-.*|x-request-id|x-splitter-.*)$/i;
const FIELD_EXPECTED =
  'a header name of letters, digits and "-" like x-variant, 64 characters at most, that has no meaning in HTTP or here yet';

/** The name of a header field of the user's choice. */
export function ownField(doc: string) {
  const isFree = z.refine<string>((name) => !RESERVED_FIELD.test(name), { error: FIELD_EXPECTED });
  return documented(matching(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, FIELD_EXPECTED).check(isFree), doc);
}

/** Bounds for the size of a message head: honest use has shown no larger one. */
export const HEAD_BYTES = { min: '1KiB', max: '1MiB', default: '32KiB' } as const;
/** Bounds for the number of its fields. */
export const HEAD_FIELDS = { min: 10, max: 10_000, default: 100 } as const;
