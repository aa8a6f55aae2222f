// The decision of an experiment: who takes part, who gets the control and why, and what the clock changes.
import { describe, expect, it } from 'vitest';
import type { SplitConfig } from '../../../src/config/options/split.ts';
import { LibraryView, type RequestLike } from '../../../src/split/request.ts';
import { Schedule } from '../../../src/split/schedule.ts';
import { Splitter, type SplitterLive } from '../../../src/split/splitter.ts';
import { describeWhen } from '../../../src/split/targeting.ts';

const base: SplitConfig = {
  key: '$arg_token',
  method: 'ranges',
  missingKey: 'default',
  variants: [
    { name: 'new', share: 5000, upstream: 'new' },
    { name: 'old', share: null, upstream: 'old' },
  ],
};
const splitterOf = (more: Partial<SplitConfig>, live?: SplitterLive) =>
  new Splitter(
    's',
    { ...base, ...more },
    () => 0,
    () => 'minted',
    undefined,
    live,
  );
const decide = (splitter: Splitter, request: RequestLike) => {
  const { variant, reason } = splitter.decide(new LibraryView(request));
  return `${variant?.name ?? 'refused'} ${reason}`;
};
/** Belongs to `new` at 50 %. */
const NEW = { url: '/?token=abc' };
const AT = Date.UTC(2026, 11, 1, 9);

describe('what does not take part gets the control', () => {
  it.each<[string, Partial<SplitConfig>, RequestLike, string]>([
    ['a key beyond the coverage', { coverage: 0 }, NEW, 'old not_enrolled'],
    ['a key within it', { coverage: 10_000 }, NEW, 'new share'],
    ['with a named control', { coverage: 0, control: 'new' }, { url: '/?token=a' }, 'new not_enrolled'],
    ['no key, with a named control', { control: 'new' }, { url: '/' }, 'new missing_key'],
    ['no key and `reject`', { coverage: 0, missingKey: 'reject' }, { url: '/' }, 'refused missing_key'],
    ['a key outside of the slot', { layer: 'l', slot: { from: 0, to: 0 } }, NEW, 'old not_enrolled'],
    [
      'a request that is not targeted',
      { when: { variable: '$uri', prefix: '/shop' } },
      NEW,
      'old not_targeted',
    ],
    [
      'one without a key that is not targeted, before `reject`',
      { when: { variable: '$uri', prefix: '/shop' }, missingKey: 'reject' },
      { url: '/' },
      'old not_targeted',
    ],
    [
      'a request that is targeted',
      { when: { variable: '$uri', prefix: '/shop' } },
      { url: '/shop?token=abc' },
      'new share',
    ],
  ])('%s', (_, more, request, expected) => {
    expect(decide(splitterOf(more), request)).toBe(expected);
  });

  it('a minted key is enrolled like any other, and none is minted for a request that is not targeted', () => {
    const key: SplitConfig['key'] = [
      '$arg_token',
      { mint: 'uid', cookie: 'uid', path: '/', maxAge: 1000, secure: 'never' },
    ];
    const minted = splitterOf({ key, coverage: 0 }).decide(new LibraryView({ url: '/' }));
    expect(minted).toMatchObject({ reason: 'not_enrolled', extras: { mintedKey: 'minted' } });
    const when = { variable: '$uri', is: '/shop' };
    expect(splitterOf({ key, when }).decide(new LibraryView({ url: '/' })).extras).toBeNull();
  });

  it('a key that is not enrolled is remembered all the same', () => {
    const key: SplitConfig['key'] = [
      { remember: '$arg_token', cookie: 'kept', path: '/', maxAge: 1000, secure: 'never' },
    ];
    const { reason, extras } = splitterOf({ key, coverage: 0 }).decide(new LibraryView(NEW));
    expect([reason, extras?.setCookie]).toEqual(['not_enrolled', expect.stringContaining('kept=abc')]);
  });

  it('an override still chooses, for a request that would not take part', () => {
    const override = { header: 'x-variant', variants: ['new'] } as SplitConfig['override'];
    const splitter = splitterOf({ coverage: 0, override });
    expect(decide(splitter, { ...NEW, headers: { 'x-variant': 'new' } })).toBe('new override');
  });
});

describe('a stop', () => {
  it('takes every key and every request without one to the control until it ends', () => {
    const stop = { isStopped: true };
    const guard = { against: 'control', minimumKeys: 200, alpha: 100, errors: { worseBy: 100 } };
    const splitter = splitterOf({ guard, missingKey: 'first' }, { stop });
    expect([decide(splitter, NEW), decide(splitter, { url: '/' })]).toEqual([
      'old not_enrolled',
      'old missing_key',
    ]);
    stop.isStopped = false;
    expect([decide(splitter, NEW), decide(splitter, { url: '/' })]).toEqual(['new share', 'new missing_key']);
  });
});

describe('conditions', () => {
  const request: RequestLike = {
    url: '/shop/cart?plan=pro&empty=',
    headers: { 'x-country': 'de', cookie: 'beta=1', 'x-bytes': 'caf\xe9' },
  };
  it.each([
    [{ variable: '$arg_plan', is: 'pro' }, true],
    [{ variable: '$arg_plan', is: 'Pro' }, false],
    [{ variable: '$arg_plan', is: 'pr' }, false],
    [{ variable: '$arg_plan', prefix: 'pr' }, true],
    [{ variable: '$arg_plan', prefix: 'prof' }, false],
    [{ variable: '$http_x_country', in: ['at', 'de', 'ch'] }, true],
    [{ variable: '$http_x_country', in: ['fr'] }, false],
    [{ variable: '$http_x_country', in: Array.from({ length: 500 }, (_, i) => `c${i}`).concat('de') }, true],
    [{ variable: '$http_x_country', in: Array.from({ length: 500 }, (_, i) => `c${i}`) }, false],
    [{ variable: '$cookie_beta', present: true }, true],
    [{ variable: '$cookie_gamma', present: true }, false],
    [{ variable: '$cookie_gamma', present: false }, true],
    [{ variable: '$arg_empty', present: true }, false],
    [{ variable: '$arg_empty', is: '' }, true],
    [{ variable: '$host$uri', prefix: '/shop/' }, true],
    [{ not: { variable: '$uri', prefix: '/shop' } }, false],
    [
      {
        all: [
          { variable: '$arg_plan', is: 'pro' },
          { variable: '$uri', prefix: '/shop' },
        ],
      },
      true,
    ],
    [
      {
        all: [
          { variable: '$arg_plan', is: 'pro' },
          { variable: '$uri', prefix: '/admin' },
        ],
      },
      false,
    ],
    [
      {
        any: [
          { variable: '$arg_plan', is: 'free' },
          { variable: '$uri', prefix: '/shop' },
        ],
      },
      true,
    ],
    [
      {
        any: [
          { variable: '$arg_plan', is: 'free' },
          { variable: '$uri', prefix: '/admin' },
        ],
      },
      false,
    ],
  ])('%j gives %s', (when, isTargeted) => {
    const { reason } = splitterOf({ key: '$remote_addr', when }).decide(
      new LibraryView({ ...request, remoteAddress: '10.0.0.1' }),
    );
    expect(reason).toBe(isTargeted ? 'share' : 'not_targeted');
  });

  it('are described in words', () => {
    const when = {
      all: [
        { variable: '$http_x_plan', is: 'pro' },
        {
          not: {
            any: [
              { variable: '$uri', prefix: '/admin' },
              { variable: '$cookie_qa', present: true },
            ],
          },
        },
      ],
    };
    expect(describeWhen(when)).toBe(
      '$http_x_plan is "pro" and not ($uri begins with "/admin" or $cookie_qa is present)',
    );
  });
});

describe('steps', () => {
  it('of coverage are taken at their time, and a clock that goes back undoes none', () => {
    let now = AT - 1;
    const steps = [
      { at: AT, to: 10_000 },
      { at: AT + 1000, to: 0 },
    ];
    const splitter = splitterOf({ coverage: { steps } }, { clock: () => now });
    const at = (time: number) => {
      now = time;
      return decide(splitter, NEW);
    };
    expect(at(AT - 1)).toBe('old not_enrolled');
    expect(at(AT)).toBe('new share');
    expect(at(AT - 5000)).toBe('new share');
    expect(at(AT + 1000)).toBe('old not_enrolled');
    expect(at(AT + 500)).toBe('old not_enrolled');
  });

  it('of shares are taken at their time, with the options of now', () => {
    let now = AT - 1;
    const shareSteps = [{ at: AT, to: { new: 0, old: null } }];
    const splitter = splitterOf({ shareSteps }, { clock: () => now });
    expect([decide(splitter, NEW), splitter.variants[0]!.share]).toEqual(['new share', expect.closeTo(0.5)]);
    now = AT;
    expect([decide(splitter, NEW), splitter.variants[0]!.share]).toEqual(['old share', 0]);
    expect(splitter.config).toEqual({
      ...base,
      variants: [
        { name: 'new', share: 0, upstream: 'new' },
        { name: 'old', share: null, upstream: 'old' },
      ],
    });
  });

  it('that lie behind are all taken at once', () => {
    const schedule = new Schedule('first', [
      { at: 10, to: 'second' },
      { at: 20, to: 'third' },
    ]);
    expect([schedule.at(9), schedule.at(25), schedule.at(5), schedule.taken(0)]).toEqual([
      'first',
      'third',
      'third',
      2,
    ]);
  });
});
