// Clients without a key: one is made for them, comes back in its cookie, and keeps them on their variant.
import { describe, expect, it } from 'vitest';
import { statusOf, valuesOf } from '../support/message.ts';
import { freePort } from '../support/scripted-upstream.ts';
import { startTwoVariants } from '../support/two-variants.ts';

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
  const assignments = { hasSeen: () => false, write: (...event: unknown[]) => events.push(event) };
  const { client } = await startTwoVariants(HALVES, {}, { assignments: assignments as never });
  const [cookie] = valuesOf(await client.ask(request('/')), 'set-cookie');
  const [, key] = COOKIE.exec(cookie!)!;
  expect(events).toEqual([[expect.objectContaining({ variant: 'a' }), Buffer.from(key!)]]);
});
