// The idle connections of an address: those that have been read since they were put there come first.

import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Wire } from '../../../src/transport/wire.ts';
import { Address, type Member } from '../../../src/upstream/address.ts';
import type { UpstreamConnection } from '../../../src/upstream/connection.ts';

interface Fake {
  name: string;
  isHeldBack: boolean;
}

function connectionOf(name: string): UpstreamConnection & Fake {
  const holdBack = () => {
    fake.isHeldBack = true;
  };
  const fake = { name, isHeldBack: false, wire: { holdBack } };
  return fake as unknown as UpstreamConnection & Fake;
}

/** Ends the present turn of the event loop: something is gathered in it. */
async function nextTurn(): Promise<void> {
  const owner = { received() {}, flushed() {}, blocked() {}, drained() {}, writeFailed: () => false };
  const wire = new Wire(new Socket(), owner, true);
  wire.gather();
  await new Promise((resolve) => setImmediate(resolve));
}

const take = (address: Address) => {
  const { name, isHeldBack } = address.takeIdle() as UpstreamConnection & Fake;
  return isHeldBack ? `${name}, held back` : name;
};

describe('idle connections', () => {
  it('leave in the opposite order, but those of this turn last, with a request that waits', async () => {
    const address = new Address('127.0.0.1', {} as Member, 'a');
    for (const name of ['a', 'b', 'c']) address.putIdle(connectionOf(name));
    await nextTurn();
    expect(take(address)).toBe('c');
    for (const name of ['d', 'e']) address.putIdle(connectionOf(name));
    expect([take(address), take(address), take(address), take(address)]).toEqual([
      'b',
      'a',
      'e, held back',
      'd, held back',
    ]);
    expect(address.takeIdle()).toBeUndefined();
  });

  it('that close leave the others where they are', async () => {
    const address = new Address('127.0.0.1', {} as Member, 'a');
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(connectionOf);
    for (const one of [a!, b!]) address.putIdle(one);
    await nextTurn();
    for (const one of [c!, d!]) address.putIdle(one);
    expect([address.dropIdle(a!), address.dropIdle(a!), address.dropIdle(d!)]).toEqual([true, false, true]);
    expect([take(address), take(address)]).toEqual(['b', 'c, held back']);
  });
});
