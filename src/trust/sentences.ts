// Says what was found, in one sentence each, with the numbers that a reader needs: for the page, /status and the fleet command.
// Pure.

interface Range {
  readonly value: number;
  readonly lower: number;
  readonly upper: number;
}

/** A sentence for each trouble. Parts are ratios from 0 to 1. */
export const sentenceOf = {
  shares(variant: string, ratio: number, fallbacks: number): string {
    const cause =
      fallbacks > 0
        ? `a fallback took ${formatCount(fallbacks)} requests`
        : 'its keys do not arrive by chance: another split of the same key before this one, or keys that follow a pattern';
    return `the sample cannot be trusted: ${variant} has ${percent(Math.abs(ratio))} ${ratio < 0 ? 'fewer' : 'more'} users than its share (${cause})`;
  },
  errors: (variant: string, { value, lower, upper }: Range) =>
    `${variant} hurts: +${formatPoints(value)} points of users with errors (${formatPoints(lower)} to ${formatPoints(upper)})`,
  exposure: (variant: string, mine: number, theirs: number) =>
    `${variant} does not reach its users: ${percent(mine)} of them got a whole good answer, of the others ${percent(theirs)}`,
  left: (variant: string, { value, lower, upper }: Range) =>
    `clients of ${variant} leave before the answer: +${formatPoints(value)} points of requests (${formatPoints(lower)} to ${formatPoints(upper)})`,
  duration: (variant: string, { value, lower, upper }: Range, mineMs: number, theirsMs: number) =>
    `${variant} is slow: ${times(value)} times as long (${times(lower)} to ${times(upper)}), typically ${formatMs(mineMs)} against ${formatMs(theirsMs)}`,
  requests: (variant: string, { value, lower, upper }: Range) =>
    `${variant} gets ${times(value)} times as many requests per user (${times(lower)} to ${times(upper)}): its users return more often, or a cache answers for the others`,
  robots: (variant: string, part: number) =>
    `a few keys send ${percent(part)} of the requests of ${variant}: robots, or a key that many share`,
  keyless: (variant: string, part: number) =>
    `${percent(part)} of all requests have no key: most go to ${variant}, outside of the sample`,
  fallbacks: (variant: string, part: number) =>
    `the fallback answers ${percent(part)} of the requests of ${variant}, outside of the sample`,
  past: (sentence: string) => `found before, no longer in the numbers of now: ${sentence}`,
  early: (keys: number) => `too few users to tell: ${formatCount(keys)} so far`,
  good: (keys: number, errors: Range | null) =>
    errors === null
      ? `nothing found in ${formatCount(keys)} users`
      : `nothing found in ${formatCount(keys)} users: errors differ by ${formatPoints(errors.value)} points (${formatPoints(errors.lower)} to ${formatPoints(errors.upper)})`,
} as const;

/** 12345.6 -> "12,346". */
function formatCount(count: number): string {
  // Not by Intl: its first use loads its data, which takes many milliseconds.
  return String(Math.round(count)).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** 0.0162 -> "1.6"; more decimals for less than a tenth of a point. */
function formatPoints(ratio: number): string {
  const value = ratio * 100;
  const digits = Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 0.095 || value === 0 ? 1 : 2;
  const text = value.toFixed(digits);
  return Number(text) === 0 ? '0.0' : text.replace('-', '−');
}

/** 0.1234 -> "12 %", 0.0123 -> "1.2 %". */
function percent(ratio: number): string {
  const value = ratio * 100;
  return `${value >= 9.95 ? value.toFixed(0) : value.toFixed(value >= 0.095 ? 1 : 2)} %`;
}

function times(ratio: number): string {
  return ratio >= 9.95 ? ratio.toFixed(0) : ratio >= 1.995 ? ratio.toFixed(1) : ratio.toFixed(2);
}

function formatMs(ms: number): string {
  if (ms >= 995) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 9.95 ? ms.toFixed(0) : ms.toFixed(1)} ms`;
}
