// A value that is compared where it is in the request is the value that a key of the same text would have, and every
// condition says the same of both.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { ByteRange, type RequestView } from '../../src/bytes.ts';
import type { WhenConfig } from '../../src/config/options/experiment.ts';
import { RequestFraming } from '../../src/http1/framing.ts';
import { RequestHead } from '../../src/http1/request-head.ts';
import { type CompiledKey, compileKey } from '../../src/key/compile.ts';
import { REQUEST_SCOPE } from '../../src/key/own-variables.ts';
import { LibraryView } from '../../src/split/request.ts';
import { compileCondition } from '../../src/split/targeting.ts';
import { RUNS_LIMIT_MS, scaled } from '../support/runs.ts';

vi.setConfig({ testTimeout: RUNS_LIMIT_MS });

const VARIABLES = [
  '$request_method',
  '$request_uri',
  '$args',
  '$uri',
  '$host',
  '$remote_addr',
  '$arg_a',
  '$http_a',
  '$http_cookie',
  '$cookie_a',
  '$path_1',
  'x$arg_a',
];

/** Texts of few characters, so that names, values and what is asked for meet often. */
const textOf = (characters: string, maxLength: number) =>
  fc.array(fc.constantFrom(...characters), { maxLength }).map((all) => all.join(''));

const pathOf = fc
  .array(fc.constantFrom('a', 'ab', '', '.', '..', '.a', 'a.', '%61', '%2f', '%', 'A'), { maxLength: 4 })
  .map((segments) => `/${segments.join('/')}`);
const query = textOf('aAb=&?%', 10);
const field = fc.tuple(fc.constantFrom('a', 'A', 'b', 'Cookie', 'cookie'), textOf('aAb=; ', 10));

const request = fc.record({
  method: fc.constantFrom('GET', 'PUT', 'a'),
  target: fc.tuple(pathOf, fc.boolean(), query).map(([path, has, rest]) => (has ? `${path}?${rest}` : path)),
  host: fc.constantFrom('a', 'A.b', 'a.', 'a.b:80', '[::1]:80'),
  fields: fc.array(field, { maxLength: 4 }),
});

type RandomRequest = typeof request extends fc.Arbitrary<infer One> ? One : never;

function headOf({ method, target, host, fields }: RandomRequest): RequestView {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const bytes = Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`, 'latin1');
  const head = new RequestHead();
  head.remoteAddress = '10.0.0.1';
  expect(head.parse(bytes, 0, bytes.length)).toBe(bytes.length);
  expect(new RequestFraming().read(head)).toBeNull();
  return head;
}

function libraryViewOf({ method, target, host, fields }: RandomRequest): RequestView {
  const rawHeaders = [['Host', host], ...fields.map(([name, value]) => [name, value.trim()])].flat();
  return new LibraryView({ method, url: target, rawHeaders, remoteAddress: '10.0.0.1' });
}

function keyOf(text: string): CompiledKey {
  const key = compileKey(text);
  if ('error' in key) throw new Error(key.error);
  return key;
}

/** What a condition says of a value that was copied. */
function holdsFor(when: WhenConfig, value: string, isMissing: boolean): boolean {
  if (when.is !== undefined) return value === when.is;
  if (when.prefix !== undefined) return value.startsWith(when.prefix);
  if (when.in !== undefined) return when.in.includes(value);
  return isMissing !== when.present;
}

/** Values of the request itself as well as others: by chance alone few would be equal. */
const conditionsFor = (variable: string, value: string, cut: number, other: string): WhenConfig[] => [
  ...[value, value.slice(0, cut), `${value}a`, other].flatMap((text) => [
    { variable, is: text },
    { variable, prefix: text },
    { variable, in: ['b', text] },
    { variable, in: [...'abcdefghi', text] },
  ]),
  { variable, present: true },
  { variable, present: false },
];

describe.each([
  ['a head', headOf],
  ['a view of the library', libraryViewOf],
] as const)('of %s', (_, viewOf) => {
  it.each(VARIABLES)('%s is compared in place as it would be copied', (variable) => {
    const key = keyOf(variable);
    const range = new ByteRange();
    fc.assert(
      fc.property(request, fc.nat({ max: 6 }), textOf('/ab', 4), (one, cut, other) => {
        const view = viewOf(one);
        const copied = key.expand(view);
        const isMissing = key.isMissing(copied);
        const value = Buffer.from(copied).toString('latin1');
        if (key.locate(view, range)) {
          const located = Buffer.from(range.bytes.subarray(range.start, range.end)).toString('latin1');
          expect(located).toBe(value);
        }
        for (const when of conditionsFor(variable, value, cut, other)) {
          const holds = compileCondition(when, REQUEST_SCOPE).holds(view);
          if (holds !== holdsFor(when, value, isMissing)) expect.fail(`${JSON.stringify(when)}: ${holds}`);
        }
      }),
      { numRuns: scaled(300) },
    );
  });
});

it('most values are compared without a copy', () => {
  const view = headOf({
    method: 'GET',
    target: '/a/b?a=1',
    host: 'a.b:80',
    fields: [
      ['A', '1'],
      ['Cookie', 'b=2; a=3'],
    ],
  });
  const range = new ByteRange();
  const located = VARIABLES.map((variable) => {
    if (!keyOf(variable).locate(view, range)) return [variable, null];
    return [variable, Buffer.from(range.bytes.subarray(range.start, range.end)).toString()];
  });
  expect(Object.fromEntries(located)).toEqual({
    $request_method: 'GET',
    $request_uri: '/a/b?a=1',
    $args: 'a=1',
    $uri: '/a/b',
    $host: 'a.b',
    $remote_addr: '10.0.0.1',
    $arg_a: '1',
    $http_a: '1',
    $http_cookie: 'b=2; a=3',
    $cookie_a: '3',
    $path_1: null,
    x$arg_a: null,
  });
});
