// An upstream with one idle connection that has already answered, and clients whose requests begin in the same turn of
// the event loop, so that `pool.pipelining` joins them. The splitter's clock stops unless the test advances it.
import { expect, onTestFinished, vi } from 'vitest';
import type { RawClient } from './raw-client.ts';
import { echoLine, type Peer, type Script } from './scripted-upstream.ts';
import { type Document, startLine } from './splitter.ts';

/** The head of a request without a body. */
export const request = (method: string, path: string, ...fields: string[]): string =>
  `${[`${method} ${path} HTTP/1.1`, 'Host: h', ...fields].join('\r\n')}\r\n\r\n`;

export const get = (path: string): string => request('GET', path);

/** Turns of the event loop, in each of which every socket that is ready is read. */
export const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** Waits for something that no socket of the test tells. */
export async function untilTrue(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 20_000 && !isTrue(); turn++) await turns(1);
  expect(isTrue()).toBe(true);
}

interface Options {
  /** What the connections behind the first one do; echoes request lines by default. */
  readonly others?: Script;
  readonly pool?: Document;
  readonly settings?: Document;
  readonly more?: Document;
}

/** `first` is what the shared connection does after the exchange that made it. */
export async function startShared(
  first: (peer: Peer) => Promise<void>,
  { others = echoLine, pool = {}, settings = {}, more = {} }: Options = {},
) {
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const script: Script = async (peer, index) => {
    if (index > 0) return others(peer, index);
    await peer.request();
    await peer.ok('warm');
    await first(peer);
  };
  const { client, splitter, upstream, ambassador } = await startLine(script, more, {
    pool: { pipelining: 4, ...pool },
    ...settings,
  });
  expect((await client.ask(get('/warm'))).body).toBe('warm');

  /** One client for each request; all of them are read in the same turn. */
  const together = async (...requests: string[]): Promise<RawClient[]> => {
    const clients: RawClient[] = [];
    for (const _ of requests) clients.push(await splitter.client());
    // An accept that is still to come must not take one of them into another turn.
    await turns(5);
    for (const [index, one] of clients.entries()) one.socket.write(Buffer.from(requests[index]!, 'latin1'));
    return clients;
  };

  const pools = () => [...ambassador.generation.upstreams.values()];
  const counted = () => [...ambassador.counters.variants()];
  /** Nothing is under way any more, nothing is left of it, and so many requests were sent a second time. */
  const isOver = async (retries: number): Promise<void> => {
    const inFlight = () => [
      ...pools().flatMap((one) => one.describe().map((address) => address.inFlight)),
      ...counted().map((row) => row.inFlight),
    ];
    for (let turn = 0; turn < 500 && inFlight().some((count) => count !== 0); turn++) await turns(1);
    expect(inFlight().filter((count) => count !== 0)).toEqual([]);
    await turns(5);
    expect(counted().reduce((sum, row) => sum + row.retries, 0)).toBe(retries);
    const { deadlines } = pools()[0]!;
    const connections = pools().reduce((sum, one) => sum + one.connectionCount, 0);
    const idle = pools().reduce(
      (sum, one) => sum + one.describe().reduce((all, { idle }) => all + idle, 0),
      0,
    );
    expect(connections).toBe(idle);
    const isQuiet = () => deadlines.size === ambassador.connectionCount + connections;
    // A review of the pool ends with its next interval. A wait would move a clock that the test holds.
    if (!isQuiet()) await vi.waitUntil(isQuiet, { timeout: 10_000, interval: 5 });
  };

  let probes = 0;
  /** Whether two requests that begin together share a connection now; every connection must echo. */
  const pipelinesNow = async (): Promise<boolean> => {
    expect((await client.ask(get('/warm'))).body).toContain('/warm');
    const lines = ['x', 'y'].map((name) => `GET /${name}${probes} HTTP/1.1`);
    const clients = await together(get(`/x${probes}`), get(`/y${probes}`));
    probes++;
    for (const [index, one] of clients.entries()) expect((await one.response()).body).toBe(lines[index]);
    // What begins in one turn and does not share has two connections, whatever came over them before.
    return upstream.peers.some(({ requests }) =>
      lines.every((line) => requests.some((one) => one.line === line)),
    );
  };

  return { client, splitter, upstream, ambassador, together, isOver, pipelinesNow };
}

/** Reads so many requests before anything is answered: the proof that they share the connection. */
export async function readAll(peer: Peer, count: number): Promise<string[]> {
  const paths: string[] = [];
  for (let i = 0; i < count; i++) paths.push((await peer.request()).line.split(' ')[1]!);
  return paths;
}
