// One event per key and window, without the key, in bounded memory.
import { createHmac } from 'node:crypto';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { Output } from '../../../src/http1/output.ts';
import type { LineSink } from '../../../src/telemetry/access-log.ts';
import { AssignmentLines, appendAssignmentLine } from '../../../src/telemetry/assignment-line.ts';
import { type AssignmentEvent, Assignments } from '../../../src/telemetry/assignments.ts';
import { logLines } from '../../support/log-lines.ts';

const HOUR = 3_600_000;
const NOON = Date.parse('2030-01-01T12:00:00Z');
const make = () => new Assignments(linesOf(logLines()), 'secret', HOUR);

const linesOf = (output: LineSink) => new AssignmentLines(output);

const variantsOf = (...names: string[]) => names.map((name) => ({ name })) as never;
/** A split with the variants a and b, as one configuration has it. */
const enroll = (assignments: Assignments, split = 's', definition = 'one', variants = variantsOf('a', 'b')) =>
  assignments.enroll({ split, definition, variants });

describe('isNew', () => {
  test('is true once per key and window, and windows begin at full hours', () => {
    const assignments = make();
    const split = enroll(assignments);
    expect(assignments.isNew(split, 0, 42, NOON + 10)).toBe(true);
    expect(assignments.isNew(split, 0, 42, NOON + 20)).toBe(false);
    expect(assignments.isNew(split, 0, 43, NOON + 20)).toBe(true);
    expect(assignments.isNew(split, 0, 42, NOON + HOUR - 1)).toBe(false);
    expect(assignments.isNew(split, 0, 42, NOON + HOUR)).toBe(true);
  });

  test('keeps the splits apart', () => {
    const assignments = make();
    const [s, t] = [enroll(assignments, 's'), enroll(assignments, 't')];
    expect(assignments.isNew(s, 0, 42, NOON)).toBe(true);
    expect(assignments.isNew(t, 0, 42, NOON)).toBe(true);
    expect(assignments.isNew(t, 0, 42, NOON)).toBe(false);
  });

  test('knows every hash, 0 too', () => {
    const assignments = make();
    const split = enroll(assignments);
    for (const hash of [0, 1, 2 ** 31, 2 ** 32 - 1]) {
      expect([hash, assignments.isNew(split, 0, hash, NOON)]).toEqual([hash, true]);
      expect([hash, assignments.isNew(split, 0, hash, NOON)]).toEqual([hash, false]);
    }
  });

  test('begins a window early when its memory is full, and says so', () => {
    const early: number[] = [];
    const assignments = new Assignments(linesOf(logLines()), 'secret', HOUR, {
      beganEarly: (keys) => void early.push(keys),
    });
    const split = enroll(assignments);
    const keys = 786_432;
    for (let hash = 0; hash < keys; hash += 1) assignments.isNew(split, 0, hash, NOON);
    expect(assignments.earlyWindows).toBe(0);
    expect(assignments.isNew(split, 0, 5, NOON)).toBe(false);
    expect(assignments.isNew(split, 0, keys + 1, NOON)).toBe(true);
    expect([assignments.earlyWindows, early]).toEqual([1, [keys]]);
    expect(assignments.isNew(split, 0, keys + 1, NOON)).toBe(false);
    expect(assignments.isNew(split, 0, 5, NOON)).toBe(true);
  });

  test('takes no two of 700,000 keys for each other while their hashes differ', () => {
    const assignments = make();
    const split = enroll(assignments);
    // An interval of hashes, as a variant has them, and then each of them again with the other variant.
    for (const variant of [0, 1]) {
      let told = 0;
      for (let key = 0; key < 700_000; key += 1) {
        if (assignments.isNew(split, variant, key * 3067, NOON)) told += 1;
      }
      expect([told, assignments.earlyWindows]).toEqual([700_000, 0]);
    }
  });
});

describe('after a reload', () => {
  test('a key is new when its variant has changed, also when it goes back, and only then', () => {
    const assignments = make();
    const first = enroll(assignments, 's', '50/50');
    expect([assignments.isNew(first, 0, 1, NOON), assignments.isNew(first, 1, 2, NOON)]).toEqual([
      true,
      true,
    ]);
    const second = enroll(assignments, 's', '0/100');
    expect([assignments.isNew(second, 1, 1, NOON), assignments.isNew(second, 1, 2, NOON)]).toEqual([
      true,
      false,
    ]);
    const third = enroll(assignments, 's', '50/50');
    expect([assignments.isNew(third, 0, 1, NOON), assignments.isNew(third, 1, 2, NOON)]).toEqual([
      true,
      false,
    ]);
    expect(assignments.isNew(third, 0, 1, NOON)).toBe(false);
  });

  test('a variant that has changed its position is the same one', () => {
    const assignments = make();
    expect(assignments.isNew(enroll(assignments), 1, 7, NOON)).toBe(true);
    const turned = enroll(assignments, 's', 'two', variantsOf('c', 'b', 'a'));
    expect(assignments.isNew(turned, 1, 7, NOON)).toBe(false);
    expect(assignments.isNew(turned, 0, 7, NOON)).toBe(true);
  });

  test('every key is new to a process that relays, because others may have seen it meanwhile', () => {
    const assignments = new Assignments(linesOf(logLines()), 'secret', HOUR, { isRelayed: true });
    expect(assignments.isNew(enroll(assignments, 's', '50/50'), 0, 1, NOON)).toBe(true);
    expect(assignments.isNew(enroll(assignments, 's', '50/50'), 0, 1, NOON)).toBe(false);
    expect(assignments.isNew(enroll(assignments, 's', '0/100'), 0, 1, NOON)).toBe(true);
    expect(assignments.isNew(enroll(assignments, 's', '50/50'), 0, 1, NOON)).toBe(true);
  });
});

test('an event holds the keyed hash of the key and nothing that leads to the key without the secret', () => {
  const { lines, writeBytes } = logLines();
  const assignments = new Assignments(linesOf({ writeBytes }), 'secret', HOUR);
  assignments.write({ split: 's', variant: 'a', generation: 3 }, Buffer.from('token-42'));
  const hmac = createHmac('sha256', 'secret').update('token-42').digest('base64url');
  expect(lines).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      split: 's',
      variant: 'a',
      key: hmac.slice(0, 22),
      generation: 3,
      msg: 'assignment',
    },
  ]);
});

describe('events of other processes', () => {
  test('are written once per key and window, whichever of them comes first', () => {
    const { lines, writeBytes } = logLines();
    const written = new Assignments(linesOf({ writeBytes }), 'secret', HOUR);
    const told: AssignmentEvent[] = [];
    const sink = { write: (event: AssignmentEvent) => void told.push(event) };
    const workers = [new Assignments(sink, 'secret', HOUR), new Assignments(sink, 'secret', HOUR)];
    for (const [split, key] of [
      ['s', 'alice'],
      ['s', 'bob'],
      ['t', 'alice'],
    ] as const) {
      for (const worker of workers) worker.write({ split, variant: 'v', generation: 1 }, Buffer.from(key));
    }
    expect(told).toHaveLength(6);
    for (const event of told) written.relay(event, NOON);
    expect(lines.map(({ split }) => split)).toEqual(['s', 's', 't']);
    expect(lines[0]).toMatchObject({ level: 'info', ...told[0], msg: 'assignment' });
    written.relay({ ...told[0]!, variant: 'w' }, NOON);
    written.relay(told[0]!, NOON);
    expect(lines.slice(3).map(({ variant }) => variant)).toEqual(['w', 'v']);
    written.relay(told[0]!, NOON + HOUR);
    expect(lines).toHaveLength(6);
  });
});

test('a line is what pino writes for the same members', () => {
  const awkward = [
    { split: 's"\\', variant: 'ä\n' },
    { split: 's', variant: 'a' },
  ];
  for (const { split, variant } of awkward) {
    const event: AssignmentEvent = { split, variant, key: 'AbC-_0123456789abcdefg', generation: 12 };
    let text = '';
    const log = pino(
      {
        base: null,
        timestamp: () => `,"time":"${new Date(NOON).toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
      },
      {
        write(line: string) {
          text = line;
        },
      },
    );
    log.info(event, 'assignment');
    const out = new Output(16);
    appendAssignmentLine(out, event, NOON);
    expect(out.bytes.toString('utf8', 0, out.length)).toBe(text);
  }
});
