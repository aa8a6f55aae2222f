// The options that make an experiment of a split: how many keys take part, since when, which requests, which part of a
// layer, and what stops it. Values that contradict each other are not found here: checks/experiments does that.

import * as z from 'zod/mini';
import { parseShare, SHARE_EXPECTED } from './share.ts';
import {
  documented,
  durationWithoutDefault,
  entryName,
  filled,
  filledList,
  integer,
  matching,
  textRead,
} from './values.ts';

const PERCENT_EXPECTED = 'a percentage from 0% to 100% with two decimals at most';
const PERCENTAGE = /^(\d{1,3})(?:\.(\d{1,2}))?%$/;

/** A part of all keys, in hundredths of a percent once it is read. */
const percentage = () => textRead(PERCENT_EXPECTED, (text) => parseShare(text) ?? undefined);

const TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?(Z|[+-]\d\d:\d\d)$/;

/** What a time looks like. */
export const TIME_EXPECTED =
  'a time with its offset from UTC like 2026-12-01T09:00Z or 2026-12-01T10:00:30+01:00';

/** "2026-12-01T09:00Z" -> milliseconds since 1970; undefined for anything else, also for a day that no month has (RFC 3339 §5.6). */
export function parseInstant(text: string): number | undefined {
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute] = match.slice(1, 6).map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const second = Number(match[6] ?? 0);
  const ms = Number((match[7] ?? '').padEnd(3, '0'));
  const offset = match[8]!;
  const [offsetHours, offsetMinutes] =
    offset === 'Z' ? [0, 0] : [Number(offset.slice(1, 3)), Number(offset.slice(4))];
  if (hour > 23 || minute > 59 || second > 59 || offsetHours > 23 || offsetMinutes > 59) return undefined;
  const local = new Date(Date.UTC(year, month - 1, day, hour, minute, second, ms));
  if (local.getUTCMonth() !== month - 1 || local.getUTCDate() !== day) return undefined;
  const sign = offset.startsWith('-') ? -1 : 1;
  return local.getTime() - sign * (offsetHours * 60 + offsetMinutes) * 60_000;
}

/** As a configuration file says it: seconds and milliseconds only where there are any. */
export function formatInstant(time: number): string {
  return new Date(time).toISOString().replace(/(?::00)?\.000Z$/, 'Z');
}

const time = () => textRead(TIME_EXPECTED, parseInstant);
const TIME_KIND = { kind: 'time', pattern: TIME.source } as const;

/** Steps that one schedule may have. */
const STEPS_MAX = 100;
const STEPS_EXPECTED = `a list of 1 to ${STEPS_MAX} steps like { at: 2026-12-01T09:00Z, to: 5% }`;
const SERIES_EXPECTED = `a list of 1 to ${STEPS_MAX} percentages like [1%, 5%, 25%, 100%]`;
const COVERAGE_EXPECTED = `${PERCENT_EXPECTED}, { steps: [{ at: 2026-12-01T09:00Z, to: 5% }] } or { at: 2026-12-01T09:00Z, every: 1h, to: [1%, 5%] }`;

const shareKind = { kind: 'share', pattern: PERCENTAGE.source } as const;

const step = z.strictObject({
  at: documented(time(), 'When the step is taken, with an offset from UTC.', TIME_KIND),
  to: documented(percentage(), 'Coverage from then on.', shareKind),
});

const listedSteps = z.strictObject({
  steps: documented(
    filledList(step, STEPS_EXPECTED, STEPS_MAX),
    'Steps in the order of their times; before the first one coverage is 0%.',
    'list',
  ),
});

const regularSteps = z.strictObject({
  at: documented(time(), 'Instead of `steps`: when the first percentage of `to` begins.', TIME_KIND),
  every: durationWithoutDefault({
    min: '1s',
    max: '8760h',
    doc: 'Time from one percentage of `to` to the next.',
  }),
  to: documented(
    filledList(percentage(), SERIES_EXPECTED, STEPS_MAX),
    'The percentages, one after the other.',
    'list of shares',
  ),
});

/** How many keys take part: hundredths of a percent, or such by the clock. */
export type CoverageConfig = number | { readonly steps: readonly CoverageStep[] };

/** Coverage from `at` (milliseconds since 1970) on, in hundredths of a percent. */
interface CoverageStep {
  readonly at: number;
  readonly to: number;
}

const coverage = z.pipe(
  z.union([percentage(), listedSteps, regularSteps], { error: COVERAGE_EXPECTED }),
  z.transform((written): CoverageConfig => {
    if (typeof written === 'number' || 'steps' in written) return written;
    const { at, every, to } = written;
    return { steps: to.map((share, index) => ({ at: at + index * every, to: share })) };
  }),
);

const SLOT_EXPECTED = 'a part of a layer like 0%-30%, with two decimals at most';

/** A part of a layer, in hundredths of a percent; `to` does not belong to it. */
export interface Slot {
  readonly from: number;
  readonly to: number;
}

/** "0%-30%" -> { from: 0, to: 3000 }; undefined for anything else. */
export function parseSlot(text: string): Slot | undefined {
  const parts = text.split('-').map((part) => part.trim());
  if (parts.length !== 2 || parts.some((part) => !PERCENTAGE.test(part))) return undefined;
  // Beyond 100 % it can be read and is refused with the place of the layer.
  const [from, to] = parts.map((part) => Math.round(Number(part.slice(0, -1)) * 100)) as [number, number];
  return { from, to };
}

/** As a configuration file says it. */
export function formatSlot({ from, to }: Slot): string {
  return `${from / 100}%-${to / 100}%`;
}

const SLOT_KIND = {
  kind: 'slot',
  pattern: '^\\d{1,3}(\\.\\d{1,2})?%\\s*-\\s*\\d{1,3}(\\.\\d{1,2})?%$',
} as const;

/** The parts of a layer that no split has; one may be written without a list. */
export const freeSlots = z.pipe(
  z.transform((value) => (Array.isArray(value) ? value : [value])),
  z.array(textRead(SLOT_EXPECTED, parseSlot), { error: SLOT_EXPECTED }),
);

/** Conditions on values of a request, as they are written; exactly one form of the six. */
export interface WhenConfig {
  readonly variable?: string | undefined;
  readonly is?: string | undefined;
  readonly prefix?: string | undefined;
  readonly in?: readonly string[] | undefined;
  readonly present?: boolean | undefined;
  readonly not?: WhenConfig | undefined;
  readonly all?: readonly WhenConfig[] | undefined;
  readonly any?: readonly WhenConfig[] | undefined;
}

const CONDITIONS_EXPECTED = 'a list of 1 to 100 conditions';
const VALUE_LIST_EXPECTED = 'a list of 1 to 10000 texts';
const COMPARED_EXPECTED = 'a text (in quotes if it looks like a number)';

const when: z.ZodMiniType<WhenConfig, WhenConfig> = z.strictObject({
  variable: documented(
    z.optional(filled('a variable like $http_x_plan')),
    'A variable of a key, whose raw bytes one of `is`, `prefix`, `in` and `present` looks at.',
    'key text',
  ),
  is: documented(z.optional(z.string({ error: COMPARED_EXPECTED })), 'The value is this text.'),
  prefix: documented(z.optional(filled(COMPARED_EXPECTED)), 'The value begins with this text.'),
  in: documented(
    z.optional(filledList(z.string({ error: COMPARED_EXPECTED }), VALUE_LIST_EXPECTED, 10_000)),
    'The value is one of these texts.',
    'list',
  ),
  present: documented(
    z.optional(z.boolean({ error: 'true or false' })),
    'true: the value is not empty; false: it is.',
    'boolean',
  ),
  get not() {
    return documented(z.optional(when), 'This condition does not hold.', 'map');
  },
  get all() {
    return documented(
      z.optional(filledList(when, CONDITIONS_EXPECTED, 100)),
      'Each of these conditions holds.',
      'list',
    );
  },
  get any() {
    return documented(
      z.optional(filledList(when, CONDITIONS_EXPECTED, 100)),
      'At least one of these conditions holds.',
      'list',
    );
  },
});

const POINTS_EXPECTED = 'percentage points from 0.01 to 100 like "1 point" or "0.5 points"';
const POINTS = /^(\d{1,3}(?:\.\d{1,2})?) points?$/;

/** As a configuration file says it: hundredths -> "1 point", "0.5 points". */
export function formatWorseBy(hundredths: number): string {
  return `${hundredths / 100} point${hundredths === 100 ? '' : 's'}`;
}

function parsePoints(text: string): number | undefined {
  const points = Number(POINTS.exec(text)?.[1]);
  return points >= 0.01 && points <= 100 ? Math.round(points * 100) : undefined;
}

const SLOWER_EXPECTED = 'a percentage from 1% to 1000% like 20%';

function parseSlower(text: string): number | undefined {
  const percent = /^\d{1,4}%$/.test(text) ? Number(text.slice(0, -1)) : 0;
  return percent >= 1 && percent <= 1000 ? percent : undefined;
}

const ALPHA_EXPECTED = 'a percentage from 0.01% to 10%';
const QUANTILE_EXPECTED = 'a number from 0.5 to 0.999';

const FLEET_URL = /^http:\/\/(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?\/?$/;
const FLEET_EXPECTED = 'the URL of a fleet, without a path, like http://splitter-fleet:9902';

function parseFleetUrl(text: string): string | undefined {
  return FLEET_URL.test(text) && URL.canParse(text) ? text.replace(/\/$/, '') : undefined;
}

const guard = z
  .strictObject({
    against: documented(
      z._default(z.clone(entryName), 'control'),
      'The variant that the others are compared with: `control` or the name of a variant.',
    ),
    errors: documented(
      z.optional(
        z.strictObject({
          worseBy: documented(
            z.prefault(textRead(POINTS_EXPECTED, parsePoints), '1 point'),
            'How many percentage points more of its keys have to meet a failure.',
            { kind: 'points', pattern: POINTS.source },
          ),
        }),
      ),
      'Compares the keys that met a failure: a 5xx or no response, unless the client is to blame.',
      'map',
    ),
    slow: documented(
      z.optional(
        z.strictObject({
          quantile: documented(
            z._default(
              z
                .number({ error: QUANTILE_EXPECTED })
                .check(
                  z.minimum(0.5, { error: QUANTILE_EXPECTED }),
                  z.maximum(0.999, { error: QUANTILE_EXPECTED }),
                ),
              0.99,
            ),
            'Which duration is compared.',
            { kind: 'number', range: '0.5 to 0.999' },
          ),
          worseBy: documented(
            z.prefault(textRead(SLOWER_EXPECTED, parseSlower), '20%'),
            'How much longer it has to be.',
            { kind: 'percent', range: '1% to 1000%' },
          ),
        }),
      ),
      'Compares durations, and the keys that met a slow response.',
      'map',
    ),
    minimumKeys: integer({
      min: 10,
      max: 1_000_000_000,
      default: 200,
      doc: 'Keys that each of the two variants needs before anything is concluded.',
    }),
    alpha: documented(
      z.prefault(
        textRead(ALPHA_EXPECTED, (text) => {
          const share = parseShare(text);
          return typeof share === 'number' && share >= 1 && share <= 1000 ? share : undefined;
        }),
        '1%',
      ),
      'Probability that a split whose variants are equal is ever stopped, however long it runs.',
      { kind: 'share', range: '0.01% to 10%' },
    ),
    fleet: documented(
      z.optional(textRead(FLEET_EXPECTED, parseFleetUrl)),
      'URL of `request-splitter fleet --listen`, which judges what all replicas have counted together. Unset: each process judges its own counts.',
      { kind: 'URL', pattern: FLEET_URL.source },
    ),
    stateFile: documented(
      z.optional(matching(/^\/./, 'a path like /var/lib/request-splitter/guard.json')),
      'File that keeps the stop over a restart. Unset: a restart begins without one.',
      'path',
    ),
  })
  .check(
    z.refine(({ errors, slow }) => errors !== undefined || slow !== undefined, {
      error: 'at least one of errors and slow, like { errors: { worseBy: 1 point } }',
    }),
  );

/** What stops a split. `worseBy` of errors in hundredths of a point, of slow in percent; `alpha` in hundredths of a percent. */
export type GuardConfig = z.output<typeof guard>;

const STEPPED_EXPECTED = 'a map of every variant to its share, like { a: 10%, b: "*" }';

const shareStep = z.strictObject({
  at: documented(time(), 'When these shares begin, with an offset from UTC.', TIME_KIND),
  to: documented(
    z.record(z.string(), textRead(SHARE_EXPECTED, parseShare), { error: STEPPED_EXPECTED }),
    'The share of every variant from then on.',
    'map of shares',
  ),
});

/** The options of a split that make it an experiment. */
export const experimentOptions = {
  coverage: documented(
    z.optional(coverage),
    'Part of all keys that take part, by a hash of their own: the others get the control, outside the sample. A key that takes part still does at any higher coverage. Unset: all.',
    { kind: 'coverage' },
  ),
  control: documented(
    z.optional(z.clone(entryName)),
    'The variant for what does not take part. Unset: the "*" variant, or else the last one.',
  ),
  layer: documented(
    z.optional(z.clone(entryName)),
    'Name of an entry in `layers`, whose key is the key of this split. Two splits of one layer never share a key.',
  ),
  slot: documented(
    z.optional(textRead(SLOT_EXPECTED, parseSlot)),
    'Part of the layer whose keys this split may have.',
    SLOT_KIND,
  ),
  when: documented(
    z.optional(when),
    'Which requests take part; every other one gets the control, outside the sample. Unset: all.',
    'map',
  ),
  shareSteps: documented(
    z.optional(
      filledList(
        shareStep,
        'a list of 1 to 100 steps like { at: 2026-12-01T09:00Z, to: { a: 10%, b: "*" } }',
        STEPS_MAX,
      ),
    ),
    'Shares that change by the clock. Each step begins a new sample.',
    'list',
  ),
  guard: documented(
    z.optional(guard),
    'Stops the split, so that every key gets the control, when a variant is worse beyond doubt. Unset: nothing does.',
    'map',
  ),
};
