// Captures of a request's path in the Location of an answer, and a date in a text for the client.
import { beforeAll, describe, expect, it } from 'vitest';
import type { RequestView } from '../../../src/bytes.ts';
import { RequestHead } from '../../../src/http1/request-head.ts';
import { compileKey } from '../../../src/key/compile.ts';
import { OwnVariables } from '../../../src/key/own-variables.ts';
import { loadPatternEngine } from '../../../src/key/pattern.ts';
import { KeptValues, NO_SURROUNDINGS } from '../../../src/key/request-context.ts';
import { compileMatch, type RouteMatch } from '../../../src/key/route-match.ts';
import { decodedLocation } from '../../../src/routing/escaped-captures.ts';
import { FixedAnswer } from '../../../src/routing/fixed-answer.ts';

beforeAll(loadPatternEngine);

const headOf = (target: string) => {
  const head = new RequestHead();
  head.reset();
  const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
  expect(head.parse(bytes, 0, bytes.length)).toBe(bytes.length);
  return head;
};

describe('the location of an answer with escapeCaptures', () => {
  const own = new OwnVariables();
  const match = () =>
    compileMatch({ when: [{ of: '$uri', matches: '^/(.*)$' }] }, own.scope('request'), own) as RouteMatch;
  const locationFor = (target: string, location: string) => {
    const route = match();
    const options = { status: 301, location, escapeCaptures: true, contentType: 'text/plain' };
    const answer = new FixedAnswer(options, route.scope);
    const head = headOf(target);
    expect(route.holds(head)).toBe(true);
    return answer.contentFor(head).location;
  };

  it.each([
    ['/a%20b', 'https://x/$1', 'https://x/a%20b'],
    ['/a%26b', 'https://x/$1', 'https://x/a&b'],
    ['/a%26b', 'https://x/?q=$1', 'https://x/?q=a%26b'],
    ['/a+b', 'https://x/?q=$1', 'https://x/?q=a%2Bb'],
    ['/a&b', 'https://x/?q=$1', 'https://x/?q=a&b'],
  ])('%s in %s', (target, location, expected) => {
    expect(locationFor(target, location)).toBe(expected);
  });

  it('decodes up to the query what a path need not encode', () => {
    expect(decodedLocation('/%2f%20%3f%2f')).toBe('//%20?%2f');
    expect(decodedLocation('/%7e?%7e')).toBe('/~?%7e');
  });
});

describe('the date of $expires_in_', () => {
  const context = new KeptValues({ ...NO_SURROUNDINGS, timeMs: () => 1_000_000_000_000 }, 0);
  const view: RequestView = {
    bytes: Buffer.alloc(0),
    methodStart: 0,
    methodEnd: 0,
    targetStart: 0,
    targetEnd: 0,
    fieldValues: () => [],
    host: () => Buffer.alloc(0),
    remoteAddress: '',
    context: () => context,
  };

  it.each([
    ['${expires_in_0}', 'Sun, 09 Sep 2001 01:46:40 GMT'],
    ['$expires_in_60', 'Sun, 09 Sep 2001 01:47:40 GMT'],
    ['${expires_in_-1}', 'Sun, 09 Sep 2001 01:46:39 GMT'],
  ])('%s', (text, expected) => {
    const key = compileKey(text, new OwnVariables().scope('response'));
    expect('error' in key ? key : Buffer.from(key.expand(view)).toString()).toBe(expected);
  });

  it('is in texts for the client alone', () => {
    expect(compileKey('$expires_in_60', new OwnVariables().scope('request'))).toHaveProperty('error');
  });
});
