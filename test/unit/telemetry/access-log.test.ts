// Which exchanges are logged, and what a line holds.
import fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { FAULT_CODES, formatCause } from '../../../src/errors.ts';
import { Output } from '../../../src/http1/output.ts';
import { appendAccessLine, type ExchangeRecord } from '../../../src/telemetry/access-line.ts';
import { AccessLog } from '../../../src/telemetry/access-log.ts';
import { logLines } from '../../support/log-lines.ts';
import { runs } from '../../support/runs.ts';

const RECORD: ExchangeRecord = {
  method: 'GET',
  path: '/x',
  client: '10.0.0.1',
  requestId: 'abc',
  split: 'appversion',
  variant: 'version_1a',
  reason: 'share',
  keyHash: 0x1c96,
  upstream: 'a',
  address: '10.0.0.2:80',
  status: 200,
  code: null,
  cause: null,
  queueMs: 0,
  connectMs: -1,
  firstByteMs: 1.23456,
  totalMs: 2,
  receivedBytes: 100,
  sentBytes: 200,
  retries: 0,
};
const RESET = FAULT_CODES.indexOf('UPSTREAM_RESET');

describe('wants', () => {
  const ends = {
    good: [200, -1],
    notFound: [404, -1],
    failed: [500, -1],
    fault: [502, RESET],
    cut: [0, RESET],
  } as const;
  test.each([
    ['off', []],
    ['errors', ['failed', 'fault', 'cut']],
    ['all', ['good', 'notFound', 'failed', 'fault', 'cut']],
    ['sampled', ['failed', 'fault', 'cut']],
  ] as const)('mode %s takes %j', (mode, wanted) => {
    const access = new AccessLog(logLines(), mode, 0.25, () => 0.25);
    const taken = Object.entries(ends).filter(([, [status, fault]]) => access.wants(status, fault));
    expect(taken.map(([name]) => name)).toEqual(wanted);
  });

  test('sampled takes its share of what went well', () => {
    let ratio = 0;
    const access = new AccessLog(logLines(), 'sampled', 0.25, () => {
      ratio = (ratio + 0.001) % 1;
      return ratio;
    });
    const taken = Array.from({ length: 1000 }, () => access.wants(200, -1)).filter(Boolean);
    expect(taken.length).toBeCloseTo(250, -1);
  });
});

describe('a line', () => {
  test('holds what is known, times to the microsecond, and leaves out what is not', () => {
    const { lines, ...output } = logLines();
    new AccessLog(output, 'all').write(RECORD);
    expect(lines).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        requestId: 'abc',
        client: '10.0.0.1',
        method: 'GET',
        path: '/x',
        status: 200,
        split: 'appversion',
        variant: 'version_1a',
        reason: 'share',
        keyHash: '00001c96',
        upstream: 'a',
        address: '10.0.0.2:80',
        queueMs: 0,
        firstByteMs: 1.235,
        totalMs: 2,
        receivedBytes: 100,
        sentBytes: 200,
        retries: 0,
        msg: 'exchange',
      },
    ]);
  });

  test('of a fault is a warning with its code', () => {
    const { lines, ...output } = logLines();
    new AccessLog(output, 'all').write({ ...RECORD, status: 502, code: 'UPSTREAM_RESET' });
    expect(lines[0]).toMatchObject({ level: 'warn', status: 502, code: 'UPSTREAM_RESET' });
  });

  test('of a request that was refused early names neither split nor key', () => {
    const { lines, ...output } = logLines();
    new AccessLog(output, 'all').write({
      ...RECORD,
      split: '',
      variant: '',
      upstream: '',
      address: '',
      keyHash: -1,
    });
    for (const member of ['split', 'variant', 'reason', 'keyHash', 'upstream', 'address']) {
      expect(lines[0]).not.toHaveProperty(member);
    }
  });
});

describe('against pino', () => {
  const lineOf = (record: ExchangeRecord, nowMs: number): string => {
    const out = new Output(16);
    appendAccessLine(out, record, nowMs);
    return out.bytes.toString('utf8', 0, out.length);
  };

  /** What pino writes for the members that the record has. */
  const pinoLine = (record: ExchangeRecord, nowMs: number): string => {
    let text = '';
    const log = pino(
      {
        base: null,
        timestamp: () => `,"time":"${new Date(nowMs).toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
      },
      {
        write(line: string) {
          text = line;
        },
      },
    );
    const known = (value: string): string | undefined => (value === '' ? undefined : value);
    const time = (ms: number): number | undefined => (ms < 0 ? undefined : Math.round(ms * 1000) / 1000);
    log[record.code === null ? 'info' : 'warn'](
      {
        requestId: known(record.requestId),
        client: record.client,
        method: known(record.method),
        path: known(record.path),
        status: record.status,
        code: record.code ?? undefined,
        cause: record.cause === null ? undefined : formatCause(record.cause),
        split: known(record.split),
        variant: known(record.variant),
        reason: record.split === '' ? undefined : record.reason,
        keyHash: record.keyHash < 0 ? undefined : record.keyHash.toString(16).padStart(8, '0'),
        upstream: known(record.upstream),
        address: known(record.address),
        queueMs: time(record.queueMs),
        connectMs: time(record.connectMs),
        firstByteMs: time(record.firstByteMs),
        totalMs: time(record.totalMs),
        receivedBytes: record.receivedBytes,
        sentBytes: record.sentBytes,
        retries: record.retries,
      },
      'exchange',
    );
    return text;
  };
  const text = fc.oneof(
    fc.constantFrom('', '"', '\\', '\n', '\x7f', '\u00e9', '\ud800', '\u2028'),
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.stringMatching(/^[ -~]*$/),
  );
  const ms = fc.oneof(
    fc.constantFrom(-1, 0, 0.0004, 0.9995, 1e9),
    fc.double({ min: 0, max: 1e7, noNaN: true }),
  );
  const record = fc.record({
    method: text,
    path: text,
    client: text,
    requestId: text,
    split: text,
    variant: text,
    reason: text,
    keyHash: fc.oneof(fc.constantFrom(-1, 0, 0xffffffff), fc.nat()),
    upstream: text,
    address: text,
    status: fc.nat(999),
    code: fc.constantFrom(null, ...FAULT_CODES),
    cause: fc.option(fc.record({ text, detail: text })),
    queueMs: ms,
    connectMs: ms,
    firstByteMs: ms,
    totalMs: ms,
    receivedBytes: fc.nat(),
    sentBytes: fc.maxSafeNat(),
    retries: fc.nat(3),
  });

  test('every line has the same bytes', () => {
    const at = fc.integer({ min: 0, max: 4e12 });
    fc.assert(
      fc.property(record, at, (one, nowMs) => {
        expect(lineOf(one, nowMs)).toBe(pinoLine(one, nowMs));
      }),
      runs(500),
    );
  });

  test('also for more addresses than are remembered, each of them twice', () => {
    const sample = fc.sample(record, { numRuns: 1, seed: 1 })[0]!;
    for (let at = 0; at < 5000; at++) {
      const one = { ...sample, address: `10.0.${at % 2500}.1` };
      expect(lineOf(one, 0)).toBe(pinoLine(one, 0));
    }
  });
});
