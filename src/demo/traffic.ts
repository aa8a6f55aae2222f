// The line that the demo prints for a second with traffic: how much came, and who has had how much so far. Pure: it
// compares two readings of the counters and knows neither clock nor terminal.

/** What one variant has had since the start. */
export interface TrafficCount {
  readonly variant: string;
  readonly requests: number;
  /** How many of them got no response or one of 5xx. */
  readonly failed: number;
}

const NUMBER = new Intl.NumberFormat('en-US');

/** "97 requests/s · so far 1,204: backend 598 (49.7 %) · backend-experiment 606 (50.3 %)"; null without traffic. */
export function trafficLine(before: readonly TrafficCount[], now: readonly TrafficCount[]): string | null {
  const total = sum(now, 'requests');
  const added = total - sum(before, 'requests');
  if (added === 0) return null;
  const failed = sum(now, 'failed') - sum(before, 'failed');
  const parts = now.map(({ variant, requests }) => {
    const percent = ((requests / total) * 100).toFixed(1);
    return `${variant} ${NUMBER.format(requests)} (${percent} %)`;
  });
  const failures = failed === 0 ? '' : `, ${NUMBER.format(failed)} failed`;
  return `${NUMBER.format(added).padStart(6)} requests/s${failures} · so far ${NUMBER.format(total)}: ${parts.join(' · ')}`;
}

function sum(counts: readonly TrafficCount[], member: 'requests' | 'failed'): number {
  return counts.reduce((total, count) => total + count[member], 0);
}
