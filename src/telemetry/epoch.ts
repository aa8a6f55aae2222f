// Declares what a sample counts beside its keys, for each of its variants and from its begin on: exchanges of keys that
// belong to it and how they ended for their key, and exchanges outside of it by what keeps them out.

import { FAULT_CODES, FAULTS } from '../errors.ts';
import { BUCKETS_MAX, durationBoundsSeconds } from './duration-buckets.ts';
import { declareRow, rowClass } from './rows.ts';

/**
 * How an exchange ended for its key. `answered`: a whole answer with 2xx, 3xx or 101. `failed`: 5xx, or no whole answer, and
 * not by the client. `left`: the client was the one who ended it. `refused`: a whole answer with 4xx.
 */
const ENDINGS = ['answered', 'failed', 'left', 'refused'] as const;
export const ENDING = { answered: 0, failed: 1, left: 2, refused: 3 } as const;

/** 1 where the client has to act on a fault, by its position in FAULT_CODES. */
const IS_OF_CLIENT = Uint8Array.from(FAULT_CODES, (code) => (FAULTS[code].blame === 'downstream' ? 1 : 0));

/** Position in ENDINGS. @param status status sent downstream, 0 = none @param fault position in FAULT_CODES, -1 = none */
export function endingOf(status: number, fault: number): number {
  if (fault >= 0) return IS_OF_CLIENT[fault] === 1 ? ENDING.left : ENDING.failed;
  if (status >= 500 || status === 0) return ENDING.failed;
  return status >= 400 ? ENDING.refused : ENDING.answered;
}

/** Everything that a sample counts for one variant, beside keys. */
export const EPOCH_ROW = declareRow(
  {
    endings: {
      kind: 'counter',
      metric: null,
      help: 'Exchanges of keys that belong to the variant by their share, by how they ended.',
      by: {
        names: ENDINGS,
        labels: ['ending'],
        labelsOf: (cell) => ({ ending: ENDINGS[cell]! }),
        isSparse: false,
      },
      status: 'endings',
    },
    keyless: { kind: 'counter', metric: null, help: 'Exchanges without a key.', status: 'keyless' },
    overrides: {
      kind: 'counter',
      metric: null,
      help: 'Exchanges for which a tester chose the variant.',
      status: 'overrides',
    },
    fallbacks: {
      kind: 'counter',
      metric: null,
      help: 'Exchanges that the upstream of onDown served.',
      status: 'fallbacks',
    },
    preflights: { kind: 'counter', metric: null, help: 'CORS preflights.', status: 'preflights' },
    others: {
      kind: 'counter',
      metric: null,
      help: 'Exchanges that the split gave to the variant without its share, for any other reason.',
      status: 'others',
    },
    retries: {
      kind: 'counter',
      metric: null,
      help: 'Times that exchanges were sent again, in the sample or not.',
      status: 'retries',
    },
    failedOutside: {
      kind: 'counter',
      metric: null,
      help: 'Exchanges outside of the sample that failed.',
      status: 'failedOutside',
    },
    durations: {
      kind: 'histogram',
      metric: null,
      help: 'Time from the first byte of the request to the last byte of a whole good answer, in the sample.',
      cells: BUCKETS_MAX,
      bounds: durationBoundsSeconds,
      sum: 'durationSumUs',
      sumPerUnit: 1e6,
    },
    durationSumUs: {
      kind: 'counter',
      metric: null,
      help: 'Sum of these durations.',
      status: 'durationSumUs',
    },
  },
  ['endings', 'keyless', 'overrides', 'fallbacks', 'preflights', 'others', 'retries', 'failedOutside'],
);

/** What keeps an exchange out of the sample, as the name of its count. */
export type Outside = 'keyless' | 'overrides' | 'fallbacks' | 'preflights' | 'others';

/** Numbers of one variant from the begin of a sample on, of one process or of several. The sample owns it. */
export class EpochCounters extends rowClass(EPOCH_ROW) {}
