// A token that is seen once is kept in a cookie: a page that is asked for with it and the assets that are asked for without
// it come from one variant.
import { describe, expect, it } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import { startSplitter, startUpstream } from '../../support/splitter.ts';
import { startTwoVariants } from '../../support/two-variants.ts';

const KEY = [
  { remember: '$arg_token', cookie: 'seen', maxAge: '1h' },
  { mint: 'uid', cookie: 'uid' },
];
const request = (target: string, ...fields: string[]) =>
  `${[`GET ${target} HTTP/1.1`, 'Host: h', ...fields].join('\r\n')}\r\n\r\n`;

/** A splitter whose halves answer with their names. */
async function startHalves(key: unknown) {
  const name =
    (text: string) => async (peer: { request(): Promise<unknown>; ok(body: string): Promise<unknown> }) => {
      for (;;) {
        await peer.request();
        await peer.ok(text);
      }
    };
  const [a, b] = [await startUpstream(name('a')), await startUpstream(name('b'))];
  const splitter = await startSplitter({
    splits: {
      s: {
        key,
        variants: [
          { name: 'a', share: '50%', upstream: a.url },
          { name: 'b', share: '*', upstream: b.url },
        ],
      },
    },
  });
  return splitter.client();
}

describe('a token that is remembered', () => {
  it('keeps a page and its assets on one variant', async () => {
    const client = await startHalves(KEY);
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) {
      const page = await client.ask(request(`/?token=visitor${i}`));
      const [cookie] = valuesOf(page, 'set-cookie');
      expect(cookie).toBe(`seen=visitor${i}; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax`);
      const asset = await client.ask(request('/app.js', `Cookie: x=1; ${cookie!.split(';')[0]}`));
      expect([asset.body, valuesOf(asset, 'set-cookie')]).toEqual([page.body, []]);
      seen.add(page.body);
    }
    expect([...seen].sort()).toEqual(['a', 'b']);
  });

  it('is not remembered by the answer to a CORS preflight, whose cookies no browser keeps', async () => {
    const { client, counted } = await startTwoVariants({ key: KEY });
    const preflight = request('/?token=1', 'Origin: http://o', 'Access-Control-Request-Method: PUT');
    const answer = await client.ask(preflight.replace('GET', 'OPTIONS'));
    expect([valuesOf(answer, 'set-cookie'), valuesOf(answer, 'cache-control')]).toEqual([[], []]);
    expect(counted('a').keysRemembered).toBe(0);
  });

  it('is remembered once: a client that brings it back gets no second cookie', async () => {
    const { client, counted } = await startTwoVariants({ key: KEY });
    await client.ask(request('/?token=1'));
    const again = await client.ask(request('/?token=1', 'Cookie: seen=1'));
    expect([valuesOf(again, 'set-cookie'), valuesOf(again, 'cache-control')]).toEqual([[], []]);
    expect([counted('a').keysRemembered, counted('a').keysMinted]).toEqual([1, 0]);
  });

  it('gives way to another token, which is remembered in its place', async () => {
    const { client } = await startTwoVariants({ key: KEY });
    const other = await client.ask(request('/?token=2', 'Cookie: seen=1'));
    expect(valuesOf(other, 'set-cookie')[0]).toMatch(/^seen=2;/);
  });

  it('makes a response that no shared cache keeps', async () => {
    const { client } = await startTwoVariants({ key: KEY });
    expect(valuesOf(await client.ask(request('/?token=1')), 'cache-control')).toEqual(['private']);
  });

  it('may come from a field, with a salt, and is read back the same', async () => {
    const client = await startHalves([{ remember: 'exp7:$http_x_user', cookie: 'user' }, '$arg_token']);
    for (let i = 0; i < 10; i++) {
      const page = await client.ask(request('/', `X-User: ada${i}`));
      expect(valuesOf(page, 'set-cookie')[0]).toMatch(new RegExp(`^user=exp7:ada${i};`));
      const asset = await client.ask(request('/', `Cookie: user=exp7:ada${i}`));
      expect(asset.body).toBe(page.body);
    }
  });

  it('is not there: the list goes on', async () => {
    const { client, counted } = await startTwoVariants({ key: KEY });
    const answer = await client.ask(request('/'));
    expect(valuesOf(answer, 'set-cookie')[0]).toMatch(/^uid=/);
    expect([counted('a').keysRemembered, counted('a').keysMinted]).toEqual([0, 1]);
  });

  // The attack: a link whose token brings attributes of a cookie along, or the end of the field.
  it.each([
    '1;%20Domain=evil',
    '1; Domain=evil'.replace(' ', ''),
    '1,2',
    '"1"',
    '1\\2',
    '\xe9',
    'x'.repeat(3000),
  ])('that no cookie can hold as it is, is the key and is not remembered: %j', async (token) => {
    const { client } = await startTwoVariants({ key: KEY });
    const answer = await client.ask(request(`/?token=${token}`));
    expect([statusOf(answer), valuesOf(answer, 'set-cookie')]).toEqual([200, []]);
  });

  it.each([
    ['__Host-seen', 'auto'],
    ['__Secure-seen', 'auto'],
    ['__Host-seen', 'always'],
  ])('in a cookie named %s is Secure with secure: %s, and is read back', async (cookie, secure) => {
    const client = await startHalves([{ remember: '$arg_token', cookie, secure }]);
    const page = await client.ask(request('/?token=1'));
    expect(valuesOf(page, 'set-cookie')).toEqual([
      `${cookie}=1; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure`,
    ]);
    expect((await client.ask(request('/', `Cookie: ${cookie}=1`))).body).toBe(page.body);
  });
});

it('a minted key may have a cookie named __Host-uid', async () => {
  const { client } = await startTwoVariants({ key: ['$arg_token', { mint: 'uid', cookie: '__Host-uid' }] });
  const [cookie] = valuesOf(await client.ask(request('/')), 'set-cookie');
  expect(cookie).toMatch(/^__Host-uid=[A-Za-z0-9_-]{22}; .*; Secure$/);
  const again = await client.ask(request('/', `Cookie: ${cookie!.split(';')[0]}`));
  expect(valuesOf(again, 'set-cookie')).toEqual([]);
});
