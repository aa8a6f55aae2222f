// Any cut of a stream into TCP pieces reads as the same messages, for bytes that are honest, almost right or hostile;
// and no reader goes on behind the bytes it was given.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { cutAt, cuts, nastyRequests, nastyResponses } from '../support/nasty.ts';
import { type Readings, readRequests, readResponses } from '../support/our-parser.ts';
import { RUNS_LIMIT_MS, runs } from '../support/runs.ts';

vi.setConfig({ testTimeout: RUNS_LIMIT_MS });

// An unfinished line is judged when it ends: this ends every line, whatever came before.
const LINE_ENDS = Buffer.from('\r\n\r\n');

const singles = (bytes: Buffer) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));

function readsTheSame(read: (pieces: readonly Buffer[]) => Readings) {
  return (stream: Buffer, places: readonly number[]) => {
    const bytes = Buffer.concat([stream, LINE_ENDS]);
    const whole = read([bytes]);
    expect(read(cutAt(bytes, places))).toEqual(whole);
    expect(read(singles(bytes))).toEqual(whole);
  };
}

describe('any cut of the bytes gives the same messages', () => {
  it('of requests', () => {
    fc.assert(fc.property(nastyRequests, cuts, readsTheSame(readRequests)), runs(3000));
  });

  it('of responses', () => {
    fc.assert(fc.property(nastyResponses, cuts, readsTheSame(readResponses)), runs(3000));
  });

  it('of responses to HEAD', () => {
    const read = (pieces: readonly Buffer[]) => readResponses(pieces, () => true);
    fc.assert(fc.property(nastyResponses, cuts, readsTheSame(read)), runs(1000));
  });
});

describe('messages stand behind each other', () => {
  it('each starts where the one before ended, and none reaches behind the stream', () => {
    fc.assert(
      fc.property(nastyRequests, cuts, (bytes, places) => {
        const { messages } = readRequests(cutAt(bytes, places));
        let position = 0;
        for (const { start, end } of messages) {
          expect(start).toBe(position);
          expect(end).toBeLessThanOrEqual(bytes.length);
          position = end;
        }
      }),
      runs(1000),
    );
  });
});
