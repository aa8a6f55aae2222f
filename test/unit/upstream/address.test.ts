// The idle connections of an address: those that have been read since they were put there come first.

import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { membersOf } from '../../../src/config/options/upstream.ts';
import { Wire } from '../../../src/transport/wire.ts';
import { Address, type IdleConnection, UpstreamServer } from '../../../src/upstream/address.ts';
import { configOf } from '../../support/splitter.ts';

const owner = { received() {}, flushed() {}, blocked() {}, drained() {}, writeFailed: () => false };

class FakeWire extends Wire {
  isHeldBack = false;
  override holdBack(): void {
    this.isHeldBack = true;
  }
}

/** A connection that has a name and is never used. */
class FakeConnection implements IdleConnection {
  readonly name: string;
  readonly address = addressOf();
  readonly wire = new FakeWire(new Socket(), owner, true);
  readonly exchange = null;
  readonly exchanges = 0;
  readonly isConnecting = false;
  readonly bodyBytesLeft = -1;
  readonly takesAnother = false;
  readonly retireAt = Number.POSITIVE_INFINITY;
  deadline = Number.POSITIVE_INFINITY;

  constructor(name: string) {
    this.name = name;
  }

  expectResponse(): void {}
  waitUntil(): void {}
  leave(): void {}
  blame(): void {}
  release(): void {}
  hasAlternative(): boolean {
    return false;
  }
  countAsStream(): boolean {
    return false;
  }
  becomeTunnel(): void {}
  close(): void {}
  destroy(): void {}
}

const connectionOf = (name: string) => new FakeConnection(name);

function addressOf(): Address {
  const config = configOf({ upstreams: { u: { url: 'http://127.0.0.1:1' } }, routes: [{ upstream: 'u' }] });
  const upstream = config.upstreams.get('u')!;
  return new Address('127.0.0.1', new UpstreamServer(0, membersOf(upstream)[0]!, upstream, () => {}, 0), 'a');
}

/** Ends the present turn of the event loop: something is gathered in it. */
async function nextTurn(): Promise<void> {
  const wire = new Wire(new Socket(), owner, true);
  wire.gather();
  await new Promise((resolve) => setImmediate(resolve));
}

const take = (address: Address) => {
  const { name, wire } = address.takeIdle() as FakeConnection;
  return wire.isHeldBack ? `${name}, held back` : name;
};

describe('idle connections', () => {
  it('leave in the opposite order, but those of this turn last, with a request that waits', async () => {
    const address = addressOf();
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
    const address = addressOf();
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(connectionOf);
    for (const one of [a!, b!]) address.putIdle(one);
    await nextTurn();
    for (const one of [c!, d!]) address.putIdle(one);
    expect([address.dropIdle(a!), address.dropIdle(a!), address.dropIdle(d!)]).toEqual([true, false, true]);
    expect([take(address), take(address)]).toEqual(['b', 'c, held back']);
  });
});
