// Clients without a key: one is made for them, comes back in its cookie, and keeps them on their variant.
import { describe, expect, it } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { statusOf, valuesOf } from '../../support/message.ts';
import { startTwoVariants } from '../../support/two-variants.ts';

const KEY = ['$arg_token', { mint: 'uid', cookie: 'uid', maxAge: '1h' }];
const HALVES = { missingKey: 'reject', key: KEY };
const request = (target: string, ...fields: string[]) =>
  `${[`GET ${target} HTTP/1.1`, 'Host: h', ...fields].join('\r\n')}\r\n\r\n`;
const COOKIE = /^uid=([A-Za-z0-9_-]{22}); Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/;

describe('a client without a key', () => {
  it('gets one in a cookie, and no other one as long as it brings that back', async () => {
    const { a, client, counted } = await startTwoVariants(HALVES);
    const first = await client.ask(request('/1'));
    const [cookie] = valuesOf(first, 'set-cookie');
    const [, key] = COOKIE.exec(cookie!)!;
    const second = await client.ask(request('/2', `Cookie: uid=${key}`));
    expect(valuesOf(second, 'set-cookie')).toEqual([]);
    expect(a.transcript).toBe(request('/1') + request('/2', `Cookie: uid=${key}`));
    expect(counted('a').keysMinted).toBe(1);
  });

  // The cookie holds the key: were it the variant, a change of shares would move none of those who came before.
  it('moves with the shares like everybody else', async () => {
    const { a, b, splitter, client } = await startTwoVariants(HALVES);
    const [cookie] = valuesOf(await client.ask(request('/')), 'set-cookie');
    const { generation } = splitter.ambassador;
    const split = generation.config.splits.get('s')!;
    const [parked, whole] = split.variants;
    const variants = [
      { ...parked!, share: 10_000 },
      { ...whole!, share: null },
    ];
    splitter.ambassador.reload({
      ...generation.config,
      splits: new Map([['s', { ...split, variants }]]),
    });
    await client.ask(request('/', `Cookie: ${cookie!.split(';')[0]}`));
    expect([a.requests.length, b.requests.length]).toEqual([1, 1]);
  });

  // The browser sends it without cookies and keeps none of its response: a key of its own would be a user that nobody is.
  it('whose browser sends a CORS preflight gets no key, and no user is counted', async () => {
    const { a, client, counted, sample } = await startTwoVariants(HALVES);
    const preflight = (target: string) =>
      request(target, 'Origin: http://app', 'Access-Control-Request-Method: POST').replace('GET', 'OPTIONS');
    for (const target of ['/1', '/2', '/3?token=x']) {
      expect(valuesOf(await client.ask(preflight(target)), 'set-cookie')).toEqual([]);
    }
    expect([a.requests.length, sample().counts()[1]!.keys]).toEqual([3, 0]);
    expect([counted('a').keysMinted, counted('a').missingKeys, counted('a').preflights]).toEqual([0, 2, 3]);
    // Without those two fields it is a request of the client's own code.
    await client.ask(request('/?token=y', 'Origin: http://app').replace('GET', 'OPTIONS'));
    await client.ask(request('/?token=z', 'Access-Control-Request-Method: POST').replace('GET', 'OPTIONS'));
    await client.ask(request('/?token=x', 'Origin: http://app', 'Access-Control-Request-Method: POST'));
    expect(Math.round(sample().counts()[1]!.keys)).toBe(3);
    expect(counted('a').preflights).toBe(3);
  });

  it('that has a token gets no cookie', async () => {
    const { client } = await startTwoVariants(HALVES);
    const response = await client.ask(request('/?token=1'));
    expect([valuesOf(response, 'set-cookie'), valuesOf(response, 'cache-control')]).toEqual([[], []]);
  });

  it('that came by https gets a cookie that is Secure', async () => {
    const { client } = await startTwoVariants(HALVES);
    const response = await client.ask(request('/', 'X-Forwarded-Proto: https'));
    expect(valuesOf(response, 'set-cookie')[0]).toMatch(/; Secure$/);
  });

  // A shared cache that stored the response would hand this client's key to everybody.
  it('gets a response that no shared cache keeps, beside the cookies of the upstream', async () => {
    const { client } = await startTwoVariants(
      HALVES,
      {},
      {
        script: async (peer) => {
          await peer.request();
          await peer.ok('', 'Set-Cookie: app=1', 'Cache-Control: max-age=60');
        },
      },
    );
    const response = await client.ask(request('/'));
    expect(valuesOf(response, 'set-cookie')).toEqual(['app=1', expect.stringMatching(COOKIE)]);
    expect(valuesOf(response, 'cache-control')).toEqual(['max-age=60', 'private']);
  });

  it('gets its cookie with the final response alone', async () => {
    const { client } = await startTwoVariants(
      HALVES,
      {},
      {
        script: async (peer) => {
          await peer.request();
          await peer.send('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n');
          await peer.ok();
        },
      },
    );
    const hints = await client.ask(request('/'));
    const final = await client.response();
    expect([valuesOf(hints, 'set-cookie').length, valuesOf(final, 'set-cookie').length]).toEqual([0, 1]);
  });

  it('gets its cookie with the protocol that it switches to', async () => {
    const { client } = await startTwoVariants(
      HALVES,
      {},
      {
        script: async (peer) => {
          await peer.request();
          await peer.send(
            'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
          );
        },
      },
    );
    const response = await client.ask(request('/', 'Connection: Upgrade', 'Upgrade: websocket'));
    expect([statusOf(response), valuesOf(response, 'set-cookie').length]).toEqual([101, 1]);
  });

  // Without it, whoever met a failing variant would come back as somebody else until the other variant answers.
  it('gets its cookie with a failure too', async () => {
    const dead = `http://127.0.0.1:${await freePort()}`;
    const { client } = await startTwoVariants({
      ...HALVES,
      variants: [{ name: 'a', share: '*', upstream: dead }],
    });
    const response = await client.ask(request('/'));
    expect([statusOf(response), valuesOf(response, 'set-cookie').length]).toEqual([502, 1]);
  });

  it('has one and the same key in every attempt of a request', async () => {
    const { a, client, counted } = await startTwoVariants(
      HALVES,
      {},
      {
        script: async (peer, index) => {
          await peer.request();
          await peer.ok();
          if (index > 0) return;
          await peer.request();
          peer.reset();
        },
      },
    );
    await client.ask(request('/?token=1'));
    const response = await client.ask(request('/'));
    expect([a.peers.length, valuesOf(response, 'set-cookie').length, counted('a').keysMinted]).toEqual([
      2, 1, 1,
    ]);
  });
});

it('the first request of a minted key belongs to the sample, and the later ones add nothing', async () => {
  const { client, sample } = await startTwoVariants(HALVES);
  const keys = () =>
    sample()
      .counts()
      .map((count) => Math.round(count.keys));
  const [cookie] = valuesOf(await client.ask(request('/')), 'set-cookie');
  expect(keys()).toEqual([0, 1]);
  await client.ask(request('/', `Cookie: ${cookie!.split(';')[0]}`));
  expect(keys()).toEqual([0, 1]);
});

it('an assignment event is about the key that was minted', async () => {
  const events: unknown[][] = [];
  const assignments = {
    enroll: () => ({}),
    isNew: () => true,
    write: (...event: unknown[]) => events.push(event),
  };
  const { client } = await startTwoVariants(HALVES, {}, { assignments: assignments as never });
  const [cookie] = valuesOf(await client.ask(request('/')), 'set-cookie');
  const [, key] = COOKIE.exec(cookie!)!;
  expect(events).toEqual([[expect.objectContaining({ variant: 'a' }), Buffer.from(key!)]]);
});
