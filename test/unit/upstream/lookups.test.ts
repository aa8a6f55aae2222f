// Names that hang leave lookups to the others. The lookup is a scripted one, and so is the time.
import { describe, expect, it } from 'vitest';
import { Lookups } from '../../../src/upstream/lookups.ts';

/** Lookups of which none ends unless the test says so. */
function open(slots: number) {
  const running = new Map<string, PromiseWithResolvers<readonly string[]>>();
  const started: string[] = [];
  const clock = { now: 0 };
  const ask = (host: string) => {
    const answer = Promise.withResolvers<readonly string[]>();
    started.push(host);
    running.set(host, answer);
    return answer.promise;
  };
  const lookups = new Lookups(ask, slots, () => clock.now);
  const answer = async (host: string) => {
    running.get(host)!.resolve([host]);
    running.delete(host);
    for (let i = 0; i < 5; i++) await Promise.resolve();
  };
  return { lookups, started, clock, answer };
}

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

describe('lookups', () => {
  it('run at once as far as there are threads, but for an eighth that is kept for wanted names', () => {
    const { lookups, started } = open(8);
    for (const host of names('h', 50)) void lookups.lookup(host, false);
    expect(started).toEqual(names('h', 7));
    void lookups.lookup('wanted', true);
    expect(started.at(-1)).toBe('wanted');
    expect(started).toHaveLength(8);
  });

  it('of a name that becomes wanted while it waits begins before all others', () => {
    const { lookups, started } = open(8);
    for (const host of names('h', 50)) void lookups.lookup(host, false);
    void lookups.lookup('late', false);
    expect(started).not.toContain('late');
    lookups.want('late');
    expect(started.at(-1)).toBe('late');
  });

  it('of names that hung last time take half of the threads, wanted or not', async () => {
    const { lookups, started, clock, answer } = open(8);
    const slow = names('slow', 7);
    for (const host of slow) void lookups.lookup(host, false);
    clock.now = 6000;
    for (const host of slow) await answer(host);
    started.length = 0;
    for (const host of slow) void lookups.lookup(host, true);
    expect(started).toEqual(slow.slice(0, 4));
    for (const host of names('h', 4)) void lookups.lookup(host, true);
    expect(started.slice(4)).toEqual(names('h', 4));
  });

  it('of a name that was slow once is an ordinary one after a quick answer', async () => {
    const { lookups, started, clock, answer } = open(1);
    void lookups.lookup('a', true);
    clock.now = 6000;
    await answer('a');
    for (const host of ['a', 'b']) void lookups.lookup(host, false);
    await answer('a');
    await answer('b');
    started.length = 0;
    void lookups.lookup('busy', true);
    for (const host of ['a', 'b']) void lookups.lookup(host, false);
    await answer('busy');
    expect(started).toEqual(['busy', 'a']);
  });

  it('of one name are one, whoever asks meanwhile', async () => {
    const { lookups, started, answer } = open(2);
    const both = Promise.all([lookups.lookup('a', true), lookups.lookup('a', false)]);
    expect(started).toEqual(['a']);
    await answer('a');
    expect(await both).toEqual([['a'], ['a']]);
    void lookups.lookup('a', true);
    expect(started).toEqual(['a', 'a']);
  });

  it('that fail reject, and leave their thread to the next', async () => {
    let calls = 0;
    const lookups = new Lookups(() => Promise.reject(new Error(`no ${++calls}`)), 1);
    const failed = Promise.allSettled(['a', 'b'].map((host) => lookups.lookup(host, true)));
    expect((await failed).map((one) => one.status === 'rejected' && String(one.reason))).toEqual([
      'Error: no 1',
      'Error: no 2',
    ]);
  });
});
