// Chooses the address of an upstream that an exchange goes to: of two addresses drawn by weight, the one that is less
// busy. It opens no connection and keeps no state. Sources: two random choices after Mitzenmacher (2001), here without
// replacement, so that a busy address of two gets nothing; backup servers as in nginx's upstream module.

import type { AddressFacts } from '../transport/contracts.ts';
import type { Address } from './address.ts';

/** Those that the present choice is made from: one array for all choices, as none outlives its call. */
const choices: Address[] = [];

/**
 * The address for an exchange that could not connect to `failed`: one of the healthy ones, backups only while no other
 * is healthy, or else the ejected one that comes back first. Null when the probes found all of them down.
 */
export function chooseAddress(
  addresses: readonly Address[],
  failed: readonly AddressFacts[],
  now: number,
): Address | null {
  if (addresses.length === 1) {
    const only = addresses[0]!;
    return only.health.isProbedDown ? null : only;
  }
  choices.length = 0;
  let isBackup = true;
  for (const address of addresses) {
    if (!address.health.isHealthy(now) || failed.includes(address)) continue;
    if (isBackup && !address.server.isBackup) {
      isBackup = false;
      choices.length = 0;
    }
    if (address.server.isBackup === isBackup) choices.push(address);
  }
  if (choices.length === 0) return chooseUnhealthy(addresses, failed);
  const trial = choices.findIndex(({ health }) => health.needsTrial);
  if (trial !== -1) {
    // The first exchange after an ejection is the trial. One that has failed already goes where it is safer.
    if (failed.length === 0 || choices.every(({ health }) => health.needsTrial)) return choices[trial]!;
    for (let i = choices.length - 1; i >= 0; i--) if (choices[i]!.health.needsTrial) choices.splice(i, 1);
  }
  return drawOne();
}

function drawOne(): Address {
  const first = drawByWeight();
  if (choices.length === 1) return first;
  choices.splice(choices.indexOf(first), 1);
  const second = drawByWeight();
  return second.inFlight * first.server.weight < first.inFlight * second.server.weight ? second : first;
}

function drawByWeight(): Address {
  let total = 0;
  for (const { server } of choices) total += server.weight;
  let left = Math.random() * total;
  for (const address of choices) {
    left -= address.server.weight;
    if (left < 0) return address;
  }
  return choices.at(-1)!;
}

/** None is healthy: of those that are only ejected, the one that comes back first and was not just tried. */
function chooseUnhealthy(addresses: readonly Address[], failed: readonly AddressFacts[]): Address | null {
  let best: Address | null = null;
  for (const address of addresses) {
    if (address.health.isProbedDown) continue;
    const isBetter =
      best === null ||
      (failed.includes(best)
        ? !failed.includes(address)
        : !failed.includes(address) && address.health.ejectedUntil < best.health.ejectedUntil);
    if (isBetter) best = address;
  }
  return best;
}
