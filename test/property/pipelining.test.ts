// Batches of clients whose requests begin in one turn, over `pool.pipelining` from 1 to 8, with answers of every size and
// framing, cut anywhere, and upstreams and clients that break off: each client gets exactly its own answer. Whoever asked
// for an honest one gets it whole, whatever happens to the others; whoever did not gets an honest failure and no foreign byte.
import fc from 'fast-check';
import { expect, it, onTestFinished, vi } from 'vitest';
import { statusOf, valuesOf } from '../support/message.ts';
import type { RawClient } from '../support/raw-client.ts';
import { RUNS_LIMIT_MS, runs } from '../support/runs.ts';
import type { Script } from '../support/scripted-upstream.ts';
import { turns } from '../support/shared-connection.ts';
import { startLine } from '../support/splitter.ts';

vi.setConfig({ testTimeout: RUNS_LIMIT_MS });

const LIMITS = [1, 2, 3, 5, 8];

interface Wish {
  readonly size: number;
  readonly framing: 'length' | 'chunked' | 'none' | 'close' | 'interim';
  /** Where the answer is cut into reads, in thousandths of it. */
  readonly cuts: readonly number[];
  readonly fate: 'honest' | 'slow' | 'last' | 'reset' | 'cut' | 'garbage' | 'surplus';
}

interface Asker {
  readonly wish: Wish;
  readonly manner: 'patient' | 'late' | 'gone at once' | 'gone later';
  /** Turns after which it reads, or goes. */
  readonly after: number;
}

const wish: fc.Arbitrary<Wish> = fc.record({
  size: fc.oneof(fc.nat(40), fc.nat(3000), fc.constantFrom(16_384, 16_385, 65_536, 131_073, 300_000)),
  framing: fc.constantFrom('length', 'length', 'chunked', 'none', 'close', 'interim'),
  cuts: fc.array(fc.nat(1000), { maxLength: 4 }),
  fate: fc.constantFrom(
    ...(['honest', 'honest', 'honest', 'honest', 'honest', 'honest'] as const),
    ...(['slow', 'last', 'reset', 'cut', 'garbage', 'surplus'] as const),
  ),
});

const asker: fc.Arbitrary<Asker> = fc.record({
  wish,
  manner: fc.constantFrom('patient', 'patient', 'patient', 'patient', 'late', 'gone at once', 'gone later'),
  after: fc.nat(12),
});

const bodyOf = (token: string, size: number) => {
  const word = `<${token}>`;
  return word.repeat(Math.ceil(size / word.length)).slice(0, size);
};

function answerOf({ size, framing, fate }: Wish, token: string): string {
  const body = bodyOf(token, size);
  const head = `HTTP/1.1 200 OK\r\nX-Token: <${token}>\r\n${fate === 'last' ? 'Connection: close\r\n' : ''}`;
  const half = body.length >> 1;
  const chunk = (part: string) => (part === '' ? '' : `${part.length.toString(16)}\r\n${part}\r\n`);
  switch (framing) {
    case 'length':
      return `${head}Content-Length: ${size}\r\n\r\n${body}`;
    case 'chunked':
      return `${head}Transfer-Encoding: chunked\r\n\r\n${chunk(body.slice(0, half))}${chunk(body.slice(half))}0\r\n\r\n`;
    case 'none':
      return `${head.replace('200 OK', '204 No Content')}\r\n`;
    case 'close':
      return `${head}\r\n${body}`;
    case 'interim':
      return `HTTP/1.1 103 Early Hints\r\nX-Token: <${token}>\r\n\r\n${head}Content-Length: ${size}\r\n\r\n${body}`;
    default:
      return framing satisfies never;
  }
}

/** Connections on which a request came before the one in front was answered. */
let shared = 0;
/** The askers that have got what they were to get, by their tokens. */
const heard = new Set<string>();
/** Answers up to this size are in the splitter's own buffers as soon as they are sent. */
const SOCKET_BYTES = 8192;

const obey: Script = async (peer) => {
  peer.keepsTranscript = false;
  let unread: string | null = null;
  // A reset throws away what the upstream's kernel still has: whole answers in front of it have to be read first.
  const reset = async () => {
    for (let turn = 0; unread !== null && !heard.has(unread) && turn < 20_000; turn++) await turns(1);
    peer.reset();
  };
  for (;;) {
    const message = await peer.request();
    const token = message.line.split(' ')[1]!.slice(1);
    const asked = JSON.parse(valuesOf(message, 'x-wish')[0]!) as Wish;
    if (peer.pending.includes('GET')) shared++;
    const answer = answerOf(asked, token);
    const stops = asked.cuts.map((part) => Math.floor((part * answer.length) / 1000)).sort((a, b) => a - b);
    let pieces = [0, ...stops].map((from, index) => answer.slice(from, stops[index]));
    if (asked.fate === 'reset') return reset();
    if (asked.fate === 'garbage') pieces = [`<${token}> is no answer\r\n\r\n`];
    if (asked.fate === 'surplus') pieces.push(`<${token}>`);
    if (asked.fate === 'cut') pieces = [answer.slice(0, -1)];
    if (asked.fate === 'slow') {
      vi.advanceTimersByTime(160);
      await turns(3);
    }
    await peer.send(...pieces.filter((piece) => piece !== ''));
    if (asked.fate === 'cut') return reset();
    if (asked.fate === 'last' || asked.framing === 'close') return peer.end();
    if (answer.length > SOCKET_BYTES) unread = token;
  }
};

/** Nothing of what a client got is anybody else's. */
function isOwn(text: string, token: string): void {
  // The line between two chunks may stand within a word.
  const words = text.replaceAll(/\r\n[0-9a-f]+\r\n/g, '').matchAll(/<[^<>]*>/g);
  // One assertion for all: a body has thousands of words.
  expect([...words].filter(([word]) => word !== `<${token}>`)).toEqual([]);
}

async function hear(client: RawClient, { wish: asked, manner, after }: Asker, token: string): Promise<void> {
  if (manner === 'gone at once') return client.reset();
  if (manner === 'gone later') {
    await turns(after);
    isOwn(client.pending, token);
    return client.reset();
  }
  if (manner === 'late') {
    client.socket.pause();
    await turns(after * 4);
    client.socket.resume();
  }
  // An answer without a body, or with its end announced, is whole before its last byte can be missing.
  const isHonest = ['honest', 'slow', 'last', 'surplus'].includes(asked.fate);
  try {
    let response = await client.response();
    isOwn(response.raw, token);
    while (statusOf(response) === 103) {
      response = await client.response();
      isOwn(response.raw, token);
    }
    const refusal = valuesOf(response, 'x-splitter-error');
    if (refusal.length > 0) {
      expect(isHonest, `${refusal[0]} for ${token}`).toBe(false);
      return;
    }
    expect(asked.fate).not.toBe('garbage');
    expect(valuesOf(response, 'x-token')).toEqual([`<${token}>`]);
    const surplus = asked.framing === 'close' && asked.fate === 'surplus' ? `<${token}>` : '';
    if (asked.fate !== 'cut')
      expect(response.body === (asked.framing === 'none' ? '' : bodyOf(token, asked.size) + surplus)).toBe(
        true,
      );
    expect(client.pending).toBe('');
  } catch (failure) {
    if (!/^the connection ended/.test((failure as Error).message)) throw failure;
    expect(isHonest, `cut for ${token}`).toBe(false);
    isOwn(client.pending, token);
  }
}

it('each client gets its own answer or an honest failure, and never a byte of another one’s', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const lines = new Map<number, Awaited<ReturnType<typeof startLine>>>();
  for (const limit of LIMITS) {
    const eject = { failures: 0 };
    const line = await startLine(obey, {}, { pool: { pipelining: limit }, eject });
    line.client.close();
    lines.set(limit, line);
  }
  const calm: Wish = { size: 10, framing: 'length', cuts: [], fate: 'honest' };
  let batches = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...LIMITS),
      fc.array(asker, { minLength: 1, maxLength: 10 }),
      async (limit, askers) => {
        const { splitter, ambassador } = lines.get(limit)!;
        const number = ++batches;
        const text = (token: string, asked: Wish) =>
          `GET /${token} HTTP/1.1\r\nHost: h\r\nx-wish: ${JSON.stringify(asked)}\r\n\r\n`;
        // What went wrong in the last batch is forgiven, and there is a connection that has answered.
        vi.advanceTimersByTime(31_000);
        const warm = await splitter.client();
        expect((await warm.ask(text(`${number}.warm`, calm))).body).toBe(bodyOf(`${number}.warm`, 10));
        const clients: RawClient[] = [];
        for (const _ of askers) clients.push(await splitter.client());
        await turns(3);
        for (const [index, client] of clients.entries())
          client.socket.write(text(`${number}.${index}`, askers[index]!.wish));
        const hearings = clients.map(async (client, index) => {
          const token = `${number}.${index}`;
          await hear(client, askers[index]!, token).finally(() => heard.add(token));
        });
        // What one of them did not get is told once all have gone: the next batch begins with none.
        const outcomes = await Promise.allSettled(hearings);
        for (const client of [warm, ...clients]) client.close();
        for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
        const [upstream] = ambassador.generation.upstreams.values();
        const inFlight = () => [
          ...upstream!.describe().map((address) => address.inFlight),
          ...[...ambassador.counters.variants()].map((row) => row.inFlight),
        ];
        const isQuiet = () => ambassador.connectionCount === 0 && inFlight().every((count) => count === 0);
        for (let turn = 0; turn < 200_000 && !isQuiet(); turn++) await turns(1);
        expect([ambassador.connectionCount, ...inFlight()]).toEqual([0, 0, 0]);
        const { deadlines, connectionCount } = upstream!;
        expect(deadlines.size).toBe(connectionCount);
      },
    ),
    runs(100),
  );
  expect(shared).toBeGreaterThan(batches / 4);
});
