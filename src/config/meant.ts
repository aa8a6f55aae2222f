// Guesses which value was meant by one that an option does not take: the same value in another spelling. A guess is
// offered only when the option would take it.

import * as z from 'zod/mini';
import { choicesAt, schemaAt } from './declaration.ts';
import type { Path } from './problem.ts';

/** ` (did you mean ":8000"?)` for a value that is near to one that the option at `path` takes; else nothing. */
export function meantValue(
  path: Path,
  value: unknown,
  guess: (word: string, known: readonly string[]) => string,
): string {
  const schema = schemaAt(path);
  if (schema === undefined || !['string', 'number', 'boolean'].includes(typeof value)) return '';
  // A key of digits alone would be refused for another reason.
  if (value === '' || (path.includes('key') && typeof value === 'number')) return '';
  for (const candidate of spellings(value as string | number | boolean, path.at(-1) === 'url')) {
    if (candidate !== value && z.safeParse(schema, candidate).success) {
      return ` (did you mean ${JSON.stringify(candidate)}?)`;
    }
  }
  return typeof value === 'string' ? guess(value, choicesAt(path)) : '';
}

function* spellings(value: string | number | boolean, isUrl: boolean): Generator<unknown> {
  const text = String(value).trim();
  const plain = /^\d/.test(text) ? text.replace(/\s+/g, '') : text;
  if (typeof value === 'boolean') {
    yield value ? 'all' : 'off';
    return;
  }
  yield text;
  yield plain;
  if (/^(?:true|yes|on)$/i.test(text)) yield true;
  if (/^(?:false|no|off)$/i.test(text)) yield false;
  yield text.toLowerCase();
  if (/^\d+(?:\.\d+)?%?$/.test(plain)) {
    const number = Number(plain.replace('%', ''));
    yield number;
    yield `:${plain}`;
    // 0.5 is half of all keys in most people's files.
    if (number > 0 && number < 1) yield `${Number((number * 100).toFixed(2))}%`;
    yield `${plain}%`;
    yield `${plain}s`;
    yield `${plain}B`;
  }
  yield* withUnit(plain);
  yield plain.replace(/^[a-z]+:\/\/(?=[^/]*:\d+\/?$)/i, '').replace(/\/$/, '');
  if (isUrl) yield `http://${plain}`;
  yield [value];
}

const TIME_UNITS: readonly (readonly [RegExp, string, number])[] = [
  [/^(?:ms|msecs?|millis|milliseconds?)$/i, 'ms', 1],
  [/^(?:s|secs?|seconds?)$/i, 's', 1],
  [/^(?:m|mins?|minutes?)$/i, 'm', 1],
  [/^(?:h|hrs?|hours?)$/i, 'h', 1],
  [/^(?:d|days?)$/i, 'h', 24],
];

function* withUnit(text: string): Generator<string> {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text) ?? [];
  const time = TIME_UNITS.find(([spelling]) => spelling.test(unit));
  if (time !== undefined) yield `${Number(number) * time[2]}${time[1]}`;
  const size = /^([kmg])i?b?$/i.exec(unit)?.[1]?.toUpperCase();
  if (size !== undefined) yield `${number}${size}iB`;
  if (/^(?:b|bytes?)$/i.test(unit)) yield `${number}B`;
}
