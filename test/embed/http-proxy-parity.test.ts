// The http-proxy door chooses as nginx does: the requests that golden data holds, over sockets through a Node server,
// against what a real nginx chose for them. Needs no nginx.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createHandler } from '../../src/http-proxy.ts';
import { requestOf, SPLITS } from '../golden/cases.ts';
import { type NamingUpstream, startNamingUpstream } from '../support/naming-upstream.ts';
import { variantName } from '../support/nginx.ts';
import { askAll } from '../support/pipeline.ts';

type Choices = Readonly<Record<string, string>>;

const read = <T>(file: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../golden', file), 'utf8')) as T;
const ofTokens = read<{ tokens: string; choices: Choices }>('tokens.json');
const ofRequests = read<{ requests: readonly string[]; choices: Choices }>('requests.json');

let upstreams: readonly NamingUpstream[] = [];

beforeAll(async () => {
  const most = Math.max(...Object.values(SPLITS).map(({ shares }) => shares.length));
  upstreams = await Promise.all(Array.from({ length: most }, (_, i) => startNamingUpstream(variantName(i))));
});

afterAll(() => Promise.all(upstreams.map((upstream) => upstream.close())));

/** Requests for which the door and nginx choose differently, with both choices. */
async function differences(name: string, requests: readonly string[], letters: string): Promise<string[]> {
  const { key, shares } = SPLITS[name]!;
  const upstreamOf = (index: number) => `http://127.0.0.1:${upstreams[index]!.port}`;
  const variants = shares.map((share, i) => ({ name: variantName(i), share, upstream: upstreamOf(i) }));
  const handler = createHandler({ key, missingKey: 'first', variants });
  const server = createServer(handler.request).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    handler.close();
  });
  const { port } = server.address() as AddressInfo;
  const bytes = requests.map((request) => Buffer.from(request, 'latin1'));
  const answers = await askAll(port, bytes, { depth: 4 });
  return requests.flatMap((request, at) => {
    // "-" is the hole of nginx before 1.31.2 behind explicit shares of 100 %, which belongs to the last variant here.
    const index = letters[at] === '-' ? shares.length - 1 : Number.parseInt(letters[at]!, 36);
    const { status, body } = answers[at]!;
    if (status === 200 && body === variantName(index)) return [];
    return [`${JSON.stringify(request.slice(0, 200))}: ${status} ${body}, nginx ${variantName(index)}`];
  });
}

describe('the http-proxy door', () => {
  // The decision itself is tested with every token; here each split takes every fourth, so that each is sent once.
  it.each(['half', 'thirds', 'halfClosed', 'many'].map((name, from) => ({ name, from })))(
    '$name: a quarter of the tokens goes where nginx sends it',
    async ({ name, from }) => {
      const quarter = <T>(all: readonly T[]) => all.filter((_, at) => at % 4 === from);
      const requests = quarter(ofTokens.tokens.split(' ')).map(requestOf);
      expect(requests.length).toBeGreaterThan(700);
      expect(await differences(name, requests, quarter([...ofTokens.choices[name]!]).join(''))).toEqual([]);
    },
  );

  // Node's own parser refuses raw bytes over 0x7f in a target; they never reach the handler.
  const isRefused = (request: string) => /^[^\r]*[\x80-\xff]/.test(request);

  // A key without a variable, which only an nginx.conf may still have, is refused.
  const offered = Object.keys(SPLITS).filter((name) => SPLITS[name]!.key.includes('$'));

  it.each(offered)('%s: every odd request goes where nginx sends it', async (name) => {
    const kept = ofRequests.requests.flatMap((request, at) => (isRefused(request) ? [] : [at]));
    const requests = kept.map((at) => ofRequests.requests[at]!);
    const letters = kept.map((at) => ofRequests.choices[name]![at]!).join('');
    expect(requests.length).toBeGreaterThan(130);
    expect(await differences(name, requests, letters)).toEqual([]);
  });
});
