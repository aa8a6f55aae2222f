// Adds up how the workers find an upstream, as /status and /readyz show it: each worker connects, ejects and probes on its
// own, so one may reach an address that another does not.

import type { AddressView } from '../telemetry/running.ts';
import type { UpstreamHealth } from './messages.ts';

/** An upstream as the workers find it together. @param read what each of them has reported last */
export function viewUpstream(name: string, read: () => readonly UpstreamHealth[]) {
  return {
    name,
    /** The trouble of the first worker that has some, and how many have. */
    get trouble(): string | null {
      const all = read();
      const troubles = all.flatMap(({ trouble }) => trouble ?? []);
      const [first] = troubles;
      if (first === undefined) return null;
      return troubles.length === all.length
        ? first
        : `${first} (so say ${troubles.length} of ${all.length} workers)`;
    },
    describe: () => addUpAddresses(read()),
  };
}

/** From good to bad. */
const STATES: readonly AddressView['state'][] = ['healthy', 'failing', 'ejected', 'down'];

/** Addresses as all workers find them: healthy when it is for each of them. */
function addUpAddresses(views: readonly UpstreamHealth[]): UpstreamHealth['addresses'] {
  const sums = new Map<string, UpstreamHealth['addresses'][number]>();
  for (const one of views.flatMap(({ addresses }) => addresses)) {
    const sum = sums.get(one.address);
    if (sum === undefined) {
      sums.set(one.address, one);
      continue;
    }
    const worse = STATES.indexOf(one.state) > STATES.indexOf(sum.state) ? one : sum;
    const isLater = (one.lastFailure?.at ?? '') > (sum.lastFailure?.at ?? '');
    sums.set(one.address, {
      address: one.address,
      healthy: one.healthy && sum.healthy,
      state: worse.state,
      since: worse.since,
      lastFailure: isLater ? one.lastFailure : sum.lastFailure,
      inFlight: one.inFlight + sum.inFlight,
      idle: one.idle + sum.idle,
    });
  }
  return [...sums.values()];
}
