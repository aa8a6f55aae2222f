// The addresses of a name: cached, kept when a lookup fails, asked for again when they prove wrong. The lookup is a
// scripted one.
import { describe, expect, it } from 'vitest';
import type { Lookup } from '../../../src/upstream/lookups.ts';
import { Resolver } from '../../../src/upstream/resolver.ts';

/** A lookup that answers when the test says so. */
function scriptedLookup() {
  const asked: { answer: (addresses: string[]) => void; fail: (error: Error) => void }[] = [];
  const lookup: Lookup = () =>
    new Promise((resolve, reject) => {
      asked.push({ answer: resolve, fail: reject });
    });
  return { asked, lookup };
}

/** A resolver and a promise of its next change. */
function open(host: string, lookup: Lookup) {
  let wake: () => void = () => undefined;
  const resolver = new Resolver(host, () => wake(), lookup);
  const changed = () =>
    new Promise<void>((resolve) => {
      wake = resolve;
    });
  return { resolver, changed };
}

describe('a name', () => {
  it('has no address before the first answer, and no failure either', async () => {
    const { asked, lookup } = scriptedLookup();
    const { resolver, changed } = open('backend', lookup);
    resolver.refresh(performance.now());
    expect(resolver.addresses).toEqual([]);
    expect(resolver.failure).toBeNull();
    const change = changed();
    asked[0]!.answer(['10.0.0.1', '10.0.0.2', '10.0.0.1']);
    await change;
    expect(resolver.addresses).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  it('is asked for once at a time, and not again while the answer is fresh', async () => {
    const { asked, lookup } = scriptedLookup();
    const { resolver, changed } = open('backend', lookup);
    const now = performance.now();
    resolver.refresh(now);
    resolver.refresh(now);
    expect(asked).toHaveLength(1);
    const change = changed();
    asked[0]!.answer(['10.0.0.1']);
    await change;
    resolver.refresh(performance.now());
    expect(asked).toHaveLength(1);
    resolver.refresh(performance.now() + 5001);
    expect(asked).toHaveLength(2);
  });

  it('keeps its old addresses when a lookup fails, and says why it failed', async () => {
    const { asked, lookup } = scriptedLookup();
    const { resolver, changed } = open('backend', lookup);
    let change = changed();
    resolver.refresh(performance.now());
    asked[0]!.answer(['10.0.0.1']);
    await change;
    change = changed();
    resolver.refresh(performance.now() + 6000);
    asked[1]!.fail(new Error('SERVFAIL'));
    await change;
    expect(resolver.addresses).toEqual(['10.0.0.1']);
    expect(resolver.failure?.message).toBe('SERVFAIL');
  });

  it('keeps its old addresses when an answer is empty', async () => {
    const { asked, lookup } = scriptedLookup();
    const { resolver, changed } = open('backend', lookup);
    let change = changed();
    resolver.refresh(performance.now());
    asked[0]!.answer(['10.0.0.1']);
    await change;
    change = changed();
    resolver.refresh(performance.now() + 6000);
    asked[1]!.answer([]);
    await change;
    expect(resolver.addresses).toEqual(['10.0.0.1']);
    expect(resolver.failure?.message).toBe('backend has no address');
  });

  it('is asked for again soon after an address has proven wrong', async () => {
    const { asked, lookup } = scriptedLookup();
    const { resolver, changed } = open('backend', lookup);
    const change = changed();
    resolver.refresh(performance.now());
    asked[0]!.answer(['10.0.0.1']);
    await change;
    const now = performance.now();
    resolver.distrust(now);
    resolver.refresh(now + 1001);
    expect(asked).toHaveLength(2);
  });
});

describe('an IP address', () => {
  it.each(['127.0.0.1', '::1'])('%s is its own answer and is never looked up', (host) => {
    const { asked, lookup } = scriptedLookup();
    const { resolver } = open(host, lookup);
    resolver.refresh(performance.now() + 1e9);
    resolver.distrust(performance.now());
    resolver.refresh(performance.now() + 1e9);
    expect(resolver.addresses).toEqual([host]);
    expect(asked).toEqual([]);
  });
});
