// Many exchanges with every kind of failure mixed in: aborts, resets, time-outs, refusals and reloads. At the
// end, sockets, timers and time limits are what they were before, and the heap is flat.
// `npx node test/soak/soak.ts [--exchanges 200000] [--seed N]`; the tests include a short run.
import { createServer, type Server, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pino } from 'pino';
import { Ambassador } from '../../src/ambassador.ts';
import type { Config } from '../../src/config/options/document.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { randomRatios } from '../support/random.ts';
import { RawClient } from '../support/raw-client.ts';

/** Clients at once. */
const CLIENTS = 16;
/** The part of all exchanges after which the heap is measured first. */
const EARLY_PART = 0.1;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What was open before and after, and the heap along the way. */
export interface SoakResult {
  readonly exchanges: number;
  /** Each kind of end that was played, with how often. */
  readonly ends: Readonly<Record<string, number>>;
  readonly resourcesBefore: Readonly<Record<string, number>>;
  readonly resourcesAfter: Readonly<Record<string, number>>;
  /**
   * Bytes of live heap and buffers after the first tenth and at the end, each time with no exchange under way: what is, keeps
   * the generation that it began with, and its samples.
   */
  readonly liveBytesEarly: number;
  readonly liveBytesLate: number;
}

/** An upstream that does what the path says. */
class ObedientUpstream {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      let held = '';
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      socket.on('data', (data: Buffer) => {
        held += data.toString('latin1');
        for (;;) {
          const headEnd = held.indexOf('\r\n\r\n');
          if (headEnd === -1) return;
          const length = Number(/\r\ncontent-length: (\d+)/i.exec(held.slice(0, headEnd))?.[1] ?? 0);
          if (held.length < headEnd + 4 + length) return;
          const path = held.split(' ', 2)[1]!;
          held = held.slice(headEnd + 4 + length);
          this.#obey(socket, path);
        }
      });
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #obey(socket: Socket, path: string): void {
    const body = 'x'.repeat(1000);
    switch (path) {
      case '/silent':
        return;
      case '/reset':
        socket.resetAndDestroy();
        return;
      case '/cut':
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nhello');
        return;
      case '/garbage':
        socket.write('garbage\r\n\r\n');
        return;
      case '/close':
        socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`);
        return;
      case '/stall':
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
        return;
      default:
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    }
  }
}

type Exchange = (client: RawClient) => Promise<void>;

const send = (client: RawClient, path: string, method = 'GET', fields = '', body = '') =>
  client.send(`${method} ${path} HTTP/1.1\r\nHost: h\r\n${fields}\r\n${body}`);

/** What a client does, and how often out of a thousand. A client that is done for is replaced. */
const ENDS: readonly (readonly [name: string, weight: number, run: Exchange])[] = [
  ['good', 600, async (client) => void (await client.ask('GET /good?token=1 HTTP/1.1\r\nHost: h\r\n\r\n'))],
  [
    'good with a body',
    150,
    async (client) => {
      await send(client, '/good?token=2', 'POST', 'Content-Length: 5\r\n', 'hello');
      await client.response();
    },
  ],
  [
    'close-delimited',
    40,
    async (client) => void (await client.ask('GET /close HTTP/1.1\r\nHost: h\r\n\r\n')),
  ],
  [
    'upstream reset',
    40,
    async (client) => void (await client.ask('POST /reset HTTP/1.1\r\nHost: h\r\n\r\n')),
  ],
  [
    'upstream garbage',
    30,
    async (client) => void (await client.ask('GET /garbage HTTP/1.1\r\nHost: h\r\n\r\n')),
  ],
  [
    'upstream cut',
    30,
    async (client) => {
      await send(client, '/cut');
      await client.ended;
    },
  ],
  [
    'client reset while waiting',
    30,
    async (client) => {
      await send(client, '/silent');
      client.reset();
    },
  ],
  [
    'client reset while uploading',
    20,
    async (client) => {
      await send(client, '/good', 'POST', 'Content-Length: 500\r\n', 'hello');
      client.reset();
    },
  ],
  [
    'refused',
    40,
    async (client) => {
      await send(client, '/good', 'GET', 'Bad : x\r\n');
      await client.ended;
    },
  ],
  [
    'upstream silence',
    8,
    async (client) => {
      await send(client, '/silent');
      await client.response();
    },
  ],
  [
    'upstream stall',
    4,
    async (client) => {
      await send(client, '/stall');
      await client.ended;
    },
  ],
  [
    'slow head',
    4,
    async (client) => {
      await client.send('GET / HTTP/1.1\r\n');
      await client.ended;
    },
  ],
  [
    'slow body',
    4,
    async (client) => {
      await send(client, '/good', 'POST', 'Content-Length: 500\r\n', 'hello');
      await client.ended;
    },
  ],
];

function configFor(ports: readonly number[], share: number): Config {
  const [a, b] = ports.map((port) => `http://127.0.0.1:${port}`);
  const document = {
    listen: '127.0.0.1:0',
    admin: 'off',
    upstreamDefaults: { responseTimeout: '1500ms', eject: { failures: 1000 } },
    timeouts: { requestHead: '1500ms', requestBody: '1500ms' },
    splits: {
      s: {
        variants: [
          { name: 'a', share: `${share}%`, upstream: a },
          { name: 'b', share: '*', upstream: b },
        ],
      },
    },
  };
  const outcome = parseConfig(JSON.stringify(document), 'soak.yaml');
  if (outcome.config === undefined) throw new Error(JSON.stringify(outcome.problems));
  return outcome.config;
}

/** Open sockets, servers and timers of this process, by kind. Pipes are the standard streams' business. */
function resources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (/TCP|TLS|Timeout/.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

function liveBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Plays `exchanges` exchanges, mixed by `seed`, with a reload after every hundredth part. */
export async function soak(exchanges: number, seed: number): Promise<SoakResult> {
  const random = randomRatios(seed);
  const total = ENDS.reduce((sum, [, weight]) => sum + weight, 0);
  const pick = () => {
    let left = random() * total;
    for (const end of ENDS) {
      left -= end[1];
      if (left < 0) return end;
    }
    return ENDS[0]!;
  };
  const resourcesBefore = resources();
  const upstreams = [new ObedientUpstream(), new ObedientUpstream()];
  const ports = await Promise.all(upstreams.map((upstream) => upstream.listen()));
  const ambassador = new Ambassador(configFor(ports, 50), { log: pino({ level: 'silent' }) });
  await ambassador.start();
  const port = Number(/:(\d+)$/.exec(ambassador.listening[0]!)![1]);
  const ends: Record<string, number> = {};
  const reloadEvery = Math.max(1, Math.floor(exchanges / 100));
  let begun = 0;

  const run = async (end: number) => {
    let client: RawClient | null = null;
    while (begun < end) {
      begun++;
      if (begun % reloadEvery === 0) ambassador.reload(configFor(ports, 1 + Math.floor(random() * 98)));
      const [name, , play] = pick();
      client ??= await RawClient.connect(port);
      await play(client);
      ends[name] = (ends[name] ?? 0) + 1;
      if (client.ending !== null || client.socket.destroyed) {
        client.close();
        client = null;
      }
    }
    client?.close();
  };
  const runAll = (end: number) => Promise.all(Array.from({ length: CLIENTS }, () => run(end)));
  await runAll(Math.ceil(exchanges * EARLY_PART));
  const liveBytesEarly = liveBytes();
  await runAll(exchanges);
  const liveBytesLate = liveBytes();
  await ambassador.stop();
  for (const upstream of upstreams) await upstream.close();
  // Closed sockets leave the list of resources in the turns behind their 'close'.
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  return {
    exchanges: begun,
    ends,
    resourcesBefore,
    resourcesAfter: resources(),
    liveBytesEarly,
    liveBytesLate,
  };
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { exchanges: { type: 'string' }, seed: { type: 'string' } } });
  const result = await soak(Number(values.exchanges ?? 200_000), Number(values.seed ?? 1));
  console.log(result);
  const isFlat = result.liveBytesLate < result.liveBytesEarly + 4 * 1024 * 1024;
  const isClosed = JSON.stringify(result.resourcesAfter) === JSON.stringify(result.resourcesBefore);
  console.log(isFlat ? 'the heap is flat' : 'THE HEAP HAS GROWN');
  console.log(isClosed ? 'everything is closed' : 'SOMETHING IS STILL OPEN');
  if (!isFlat || !isClosed) process.exitCode = 1;
}
