// The sidecar pod played for real: an nginx with a varnish cache, and the same with request-splitter in front.
import murmurhash from 'murmurhash';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildText, readManifests } from '../support/kustomize.ts';
import { cluster } from './support/cluster.ts';

const pods = cluster();
const agent = new Agent({ pipelining: 0 });

async function get(url: string, headers: Record<string, string> = {}) {
  const answer = await request(url, { dispatcher: agent, headers });
  const field = (name: string) => String(answer.headers[name] ?? '');
  const ids = field('x-varnish')
    .split(' ')
    .filter((id) => id !== '').length;
  return {
    status: answer.statusCode,
    body: await answer.body.text(),
    cache: field('x-cache'),
    age: field('age'),
    ids,
  };
}

describe('an nginx with a cache in its pod', () => {
  const objects = readManifests(buildText('k8s/sidecar'));
  let url = '';
  beforeAll(async () => {
    await pods.apply(objects);
    url = await pods.forward('svc/nginx', 6081);
  });
  afterAll(() => pods.down(objects));

  test('the first answer comes from nginx, the next from the cache, and they are the same page', async () => {
    const page = `${url}/?page=1`;
    const first = await get(page);
    const next = await get(page);
    expect(first).toMatchObject({ status: 200, cache: 'MISS', ids: 1 });
    expect(next).toMatchObject({ status: 200, cache: 'HIT', ids: 2 });
    expect(first.body).toContain('Welcome to nginx!');
    expect(next.body).toBe(first.body);
    expect(pods.logs('nginx', 'nginx').split('?page=1').length - 1).toBe(1);
  });
});

describe('request-splitter in front of the cache', () => {
  const tokens = Array.from({ length: 60 }, (_none, index) => `token-${index}`);
  const versionOf = (token: string) =>
    murmurhash.v2(Buffer.from(token), 0) < 2147483647 ? 'version_1a' : 'version_1b';
  const objects = readManifests(buildText('k8s/sidecar/overlays/split'));
  let url = '';
  let cache = '';
  beforeAll(async () => {
    await pods.apply(objects);
    url = await pods.forward('svc/nginx', 80);
    cache = await pods.forward('svc/nginx', 6081);
  });
  afterAll(() => pods.down(objects));

  test('every token gets the page of its own version, whether it comes from nginx or from the cache', async () => {
    for (const path of ['/', '/shop', '/cart']) {
      for (const token of tokens) {
        const { status, body } = await get(`${url}${path}?token=${token}`);
        expect({ token, status, body }).toEqual({
          token,
          status: 200,
          body: `${versionOf(token)} ${path}\n`,
        });
      }
    }
  });

  test('one page is fetched once for each version, however many tokens ask for it', async () => {
    const answers: { version: string; cache: string }[] = [];
    for (const token of tokens) {
      answers.push({
        version: versionOf(token),
        cache: (await get(`${url}/once?a=1&token=${token}&b=2`)).cache,
      });
    }
    for (const version of ['version_1a', 'version_1b']) {
      const mine = answers.filter((answer) => answer.version === version).map((answer) => answer.cache);
      expect(mine.length).toBeGreaterThan(10);
      expect(mine).toEqual(['MISS', ...mine.slice(1).map(() => 'HIT')]);
    }
  });

  test('a request that goes round the splitter gets no page of either version', async () => {
    expect((await get(`${cache}/?token=abc`)).status).toBe(421);
    expect((await get(`${cache}/?token=abc`, { host: 'shop.example' })).status).toBe(421);
  });

  test('a caller that writes a variant into Host does not choose its page: the splitter writes Host', async () => {
    for (const token of tokens.slice(0, 20)) {
      for (const host of ['version_1a', 'version_1b']) {
        expect((await get(`${url}/host?token=${token}`, { host })).body).toBe(`${versionOf(token)} /host\n`);
      }
    }
  });
});
