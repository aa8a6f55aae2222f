// Which exchanges are logged, and what a line holds.
import { describe, expect, test } from 'vitest';
import { FAULT_CODES } from '../../../src/errors.ts';
import { AccessLog, type ExchangeRecord } from '../../../src/telemetry/access-log.ts';
import { logLines } from '../../support/log-lines.ts';

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
    const access = new AccessLog(logLines().log, mode, 0.25, () => 0.25);
    const taken = Object.entries(ends).filter(([, [status, fault]]) => access.wants(status, fault));
    expect(taken.map(([name]) => name)).toEqual(wanted);
  });

  test('sampled takes its share of what went well', () => {
    let ratio = 0;
    const access = new AccessLog(logLines().log, 'sampled', 0.25, () => {
      ratio = (ratio + 0.001) % 1;
      return ratio;
    });
    const taken = Array.from({ length: 1000 }, () => access.wants(200, -1)).filter(Boolean);
    expect(taken.length).toBeCloseTo(250, -1);
  });
});

describe('a line', () => {
  test('holds what is known, times to the microsecond, and leaves out what is not', () => {
    const { log, lines } = logLines();
    new AccessLog(log, 'all').write(RECORD);
    expect(lines).toEqual([
      {
        level: 'info',
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
    const { log, lines } = logLines();
    new AccessLog(log, 'all').write({ ...RECORD, status: 502, code: 'UPSTREAM_RESET' });
    expect(lines[0]).toMatchObject({ level: 'warn', status: 502, code: 'UPSTREAM_RESET' });
  });

  test('of a request that was refused early names neither split nor key', () => {
    const { log, lines } = logLines();
    new AccessLog(log, 'all').write({
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
