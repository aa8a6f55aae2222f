// One event per key and window, without the key, in bounded memory.
import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type AssignmentEvent, Assignments } from '../../../src/telemetry/assignments.ts';
import { logLines } from '../../support/log-lines.ts';

const HOUR = 3_600_000;
const NOON = Date.parse('2030-01-01T12:00:00Z');
const make = () => new Assignments(logLines().log, 'secret', HOUR);

describe('hasSeen', () => {
  test('is false once per key and window, and windows begin at full hours', () => {
    const assignments = make();
    expect(assignments.hasSeen(0, 42, NOON + 10)).toBe(false);
    expect(assignments.hasSeen(0, 42, NOON + 20)).toBe(true);
    expect(assignments.hasSeen(0, 43, NOON + 20)).toBe(false);
    expect(assignments.hasSeen(0, 42, NOON + HOUR - 1)).toBe(true);
    expect(assignments.hasSeen(0, 42, NOON + HOUR)).toBe(false);
  });

  test('keeps the splits apart', () => {
    const assignments = make();
    expect(assignments.hasSeen(0, 42, NOON)).toBe(false);
    expect(assignments.hasSeen(1, 42, NOON)).toBe(false);
    expect(assignments.hasSeen(1, 42, NOON)).toBe(true);
  });

  test('knows every hash, 0 too', () => {
    const assignments = make();
    for (const hash of [0, 1, 2 ** 31, 2 ** 32 - 1]) {
      expect([hash, assignments.hasSeen(0, hash, NOON)]).toEqual([hash, false]);
      expect([hash, assignments.hasSeen(0, hash, NOON)]).toEqual([hash, true]);
    }
  });

  test('begins a window early when its memory is full, and says so', () => {
    const assignments = make();
    const keys = 786_432;
    for (let hash = 0; hash < keys; hash += 1) assignments.hasSeen(0, hash, NOON);
    expect(assignments.earlyWindows).toBe(0);
    expect(assignments.hasSeen(0, 5, NOON)).toBe(true);
    expect(assignments.hasSeen(0, keys + 1, NOON)).toBe(false);
    expect(assignments.earlyWindows).toBe(1);
    expect(assignments.hasSeen(0, keys + 1, NOON)).toBe(true);
    expect(assignments.hasSeen(0, 5, NOON)).toBe(false);
  });
});

test('an event holds the keyed hash of the key and nothing that leads to the key without the secret', () => {
  const { log, lines } = logLines();
  const assignments = new Assignments(log, 'secret', HOUR);
  assignments.write({ split: 's', variant: 'a', generation: 3 }, Buffer.from('token-42'));
  const hmac = createHmac('sha256', 'secret').update('token-42').digest('base64url');
  expect(lines).toEqual([
    { level: 'info', split: 's', variant: 'a', key: hmac.slice(0, 22), generation: 3, msg: 'assignment' },
  ]);
});

describe('events of other processes', () => {
  test('are written once per key and window, whichever of them comes first', () => {
    const { log, lines } = logLines();
    const written = new Assignments(log, 'secret', HOUR);
    const told: AssignmentEvent[] = [];
    const sink = { info: (event: AssignmentEvent) => void told.push(event) };
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
    expect(lines[0]).toEqual({ level: 'info', ...told[0], msg: 'assignment' });
    written.relay(told[0]!, NOON + HOUR);
    expect(lines).toHaveLength(4);
  });
});
