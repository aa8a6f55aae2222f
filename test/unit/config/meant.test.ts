// A value in the wrong spelling is answered with the right one, and only with one that the option takes.
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/parse.ts';
import { formatProblems } from '../../../src/config/problem.ts';

const SPLIT = 'splits: { s: { variants: [{ name: a, share: "*", upstream: "http://a" }] } }\n';
const problemsOf = (text: string) => formatProblems(parseConfig(text, 's.yaml').problems ?? []);

describe('a value', () => {
  it.each([
    ['listen: 8000', '":8000"'],
    ['listen: "8000"', '":8000"'],
    ['listen: [":80", 8001]', '":8001"'],
    ['listen: http://127.0.0.1:8000/', '"127.0.0.1:8000"'],
    ['admin: 9901', '":9901"'],
    ['admin: false', '"off"'],
    ['admin: OFF', '"off"'],
    ['workers: "2"', '2'],
    ['workers: Auto', '"auto"'],
    ['timeouts: { idle: 75 }', '"75s"'],
    ['timeouts: { idle: 75 s }', '"75s"'],
    ['timeouts: { idle: 5min }', '"5m"'],
    ['timeouts: { tunnelIdle: 2d }', '"48h"'],
    ['limits: { requestBody: 1MB }', '"1MiB"'],
    ['limits: { requestBody: 8k }', '"8KiB"'],
    ['limits: { requestBody: 1024 }', '"1024B"'],
    ['via: "yes"', 'true'],
    ['forwarded: apend', '"append"'],
    ['accessLog: { mode: error }', '"errors"'],
    ['upgrades: websocket', '["websocket"]'],
    ['upstreams: { u: { url: "a:8080" } }', '"http://a:8080"'],
  ])('%s is answered with %s', (line, meant) => {
    expect(problemsOf(`${SPLIT}${line}\n`).join()).toContain(` (did you mean ${meant}?), got `);
  });

  it.each([
    ['50', '"50%"'],
    ['"12.5"', '"12.5%"'],
    ['0.5', '"50%"'],
    ['50 %', '"50%"'],
  ])('share: %s is answered with %s', (share, meant) => {
    const [line] = problemsOf(SPLIT.replace('"*"', share));
    expect(line).toContain(` (did you mean ${meant}?), got `);
  });

  it.each([
    'listen: 99999999',
    'timeouts: { idle: soon }',
    'limits: { requestBody: -1 }',
    'via: perhaps',
    'admin: []',
    'admin: ""',
  ])('that is near to nothing gets no guess: %s', (line) => {
    expect(problemsOf(`${SPLIT}${line}\n`)).toHaveLength(1);
    expect(problemsOf(`${SPLIT}${line}\n`)[0]).not.toContain('did you mean');
  });
});

it('an option in a map that has nothing to do with it is told where it belongs, where that map has too many to list', () => {
  expect(problemsOf(`${SPLIT}routes: [{ method: OPTIONS, split: s }]\n`)).toEqual([
    's.yaml:2:12 routes[0].method: expected a known option (splits.*.method?), got "method"',
  ]);
});
