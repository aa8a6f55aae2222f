// A storm of exchanges that end in every way there is, from a seed: no byte reaches another exchange, every one of them
// ends, and when it is over every gauge is back where it was. A failing assertion
// tells the seed; STORM_SEED=… plays it again, as far as the kernel plays along.
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { Listener } from '../../src/downstream/listener.ts';
import { buildGeneration } from '../../src/routing/generation.ts';
import { Counters } from '../../src/telemetry/counters.ts';
import { Deadlines } from '../../src/transport/deadlines.ts';
import { Descriptors } from '../../src/transport/descriptors.ts';
import { atOnce } from '../../src/turns.ts';
import { Upstream } from '../../src/upstream/upstream.ts';
import { type Message, statusOf, valuesOf } from '../support/message.ts';
import { randomWords } from '../support/random.ts';
import { RawClient } from '../support/raw-client.ts';
import { configOf } from '../support/splitter.ts';

const CLIENTS = 900;
const AT_ONCE = 24;

/** What the upstream does with a request; the client asks for it in a field. */
const DEEDS = [
  'length',
  'length',
  'chunked',
  'chunked',
  'tiny',
  'close',
  'end',
  'interim',
  'early',
  'large',
  'silent',
  'reset',
  'hangup',
  'garbage',
  'cut',
  'more',
  'switch',
] as const;
type Deed = (typeof DEEDS)[number];
/** While requests share connections a second answer to one of them cannot be told from the answer to the next one. */
const DEEDS_PIPELINED = DEEDS.filter((deed) => deed !== 'more');

type Random = (below: number) => number;

function seeded(seed: number): Random {
  const words = randomWords(seed);
  return (below) => words() % below;
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** Reads requests as the splitter must send them, and does what each of them asks for. */
function serve(socket: Socket, open: Set<Socket>): void {
  open.add(socket);
  socket.on('close', () => open.delete(socket));
  socket.on('error', () => socket.destroy());
  let text = '';
  let isTunnel = false;
  socket.on('end', () => socket.end());
  socket.on('data', (data: Buffer) => {
    if (isTunnel) return void socket.write(data);
    text += data.toString('latin1');
    for (;;) {
      const request = /^(\w+) \S+ HTTP\/1\.1\r\n(.*?\r\n)\r\n/s.exec(text);
      if (request === null) return;
      const [head, method = '', fields = ''] = request;
      const nonce = /^x-nonce: (.*)\r$/m.exec(fields)![1]!;
      const deed = /^x-deed: (.*)\r$/m.exec(fields)![1] as Deed;
      const length = Number(/^content-length: (\d+)\r$/im.exec(fields)?.[1] ?? 0);
      let end = head.length + length;
      if (/^transfer-encoding: chunked\r$/im.test(fields)) {
        const last = text.indexOf('0\r\n\r\n', head.length);
        end = last === -1 ? Number.POSITIVE_INFINITY : last + 5;
      }
      if (text.length < end && deed !== 'early' && deed !== 'reset') return;
      text = text.slice(end);
      const body = method === 'HEAD' ? '' : nonce;
      const chunk = (part: string) => (body === '' ? '' : `${part.length.toString(16)}\r\n${part}\r\n`);
      const last = body === '' ? '' : '0\r\n\r\n';
      const ok = 'HTTP/1.1 200 OK\r\n';
      const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
      switch (deed) {
        case 'length':
        case 'early':
          socket.write(`${ok}Content-Length: ${nonce.length}\r\n\r\n${body}`);
          break;
        case 'chunked':
          socket.write(`${chunked}${chunk(nonce)}${last}`);
          break;
        case 'tiny':
          socket.write(chunked);
          for (const letter of nonce) socket.write(chunk(letter));
          socket.write(last);
          break;
        case 'close':
          socket.end(`${ok}Connection: close\r\nContent-Length: ${nonce.length}\r\n\r\n${body}`);
          return;
        case 'end':
          socket.end(`${ok}\r\n${body}`);
          return;
        case 'interim':
          socket.write(`HTTP/1.1 103 Early Hints\r\nX: ${nonce}\r\n\r\n${chunked}${chunk(nonce)}${last}`);
          break;
        case 'large':
          socket.write(`${ok}Content-Length: ${nonce.length * 20_000}\r\n\r\n${body.repeat(20_000)}`);
          break;
        case 'silent':
          return;
        case 'reset':
          socket.resetAndDestroy();
          return;
        case 'hangup':
          socket.end();
          return;
        case 'garbage':
          socket.end(`HTP/1.1 200 ${nonce}\r\n\r\n`);
          return;
        case 'cut':
          socket.write(`${chunked}${chunk(nonce)}`);
          socket.destroySoon();
          return;
        case 'more':
          socket.write(
            `${ok}Content-Length: ${nonce.length}\r\n\r\n${body}${ok}Content-Length: 6\r\n\r\nforged`,
          );
          break;
        case 'switch':
          isTunnel = true;
          socket.write(
            'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
          );
          if (text !== '') socket.write(text, 'latin1');
          return;
        default:
          deed satisfies never;
      }
    }
  });
}

interface Asked {
  readonly text: string;
  readonly nonce: string;
  readonly method: string;
  readonly deed: Deed;
}

function request(random: Random, nonce: string, deeds: readonly Deed[]): Asked {
  const deed = deeds[random(deeds.length)]!;
  const path = ['/', '/', '/gone', '/nowhere'][random(4)]!;
  const head = (method: string, fields: string) =>
    `${method} ${path} HTTP/1.1\r\nHost: h\r\nx-nonce: ${nonce}\r\nx-deed: ${deed}\r\n${fields}\r\n`;
  if (deed === 'switch') {
    return { text: head('GET', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'), nonce, method: 'GET', deed };
  }
  const body = 'b'.repeat(random(4) === 0 ? 90_000 : random(50));
  switch (random(5)) {
    case 0:
      return { text: head('HEAD', ''), nonce, method: 'HEAD', deed };
    case 1:
      return {
        text: `${head('PUT', `Content-Length: ${body.length}\r\n`)}${body}`,
        nonce,
        method: 'PUT',
        deed,
      };
    case 2: {
      const chunk = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`;
      const fields = 'Transfer-Encoding: chunked\r\n';
      return { text: `${head('POST', fields)}${chunk}0\r\n\r\n`, nonce, method: 'POST', deed };
    }
    default:
      return { text: head('GET', ''), nonce, method: 'GET', deed };
  }
}

/** A final response must be the one that was asked for, whole, or one of the splitter's own refusals. */
function check(answer: Message, { nonce, method, deed }: Asked): void {
  const status = statusOf(answer);
  if (status === 103) {
    expect(valuesOf(answer, 'x')).toEqual([nonce]);
    return;
  }
  if (valuesOf(answer, 'x-splitter-error').length > 0) {
    expect(status).toBeGreaterThanOrEqual(400);
    return;
  }
  expect(status).toBe(deed === 'switch' ? 101 : 200);
  if (deed === 'switch' || method === 'HEAD') return;
  expect(answer.body).toBe(deed === 'large' ? nonce.repeat(20_000) : nonce);
}

/** One client: some requests, sent in pieces, behind each other or ahead, up to an end of some kind. */
async function play(random: Random, port: number, name: string, deeds: readonly Deed[]): Promise<number> {
  const client = await RawClient.connect(port);
  const asked = Array.from({ length: 1 + random(4) }, (_, i) => request(random, `<${name}.${i}>`, deeds));
  const text = asked.map((one) => one.text).join('');
  const isCut = random(4) === 0;
  const whole = isCut ? text.slice(0, random(text.length)) : text;
  const pieces: string[] = [];
  for (let at = 0; at < whole.length; ) {
    const size = random(3) === 0 ? 1 + random(40) : 100_000;
    pieces.push(whole.slice(at, at + size));
    at += size;
    if (pieces.length > 12) {
      pieces.push(whole.slice(at));
      break;
    }
  }
  const sent = client.send(...pieces).then(async () => {
    const how = random(isCut ? 4 : 9);
    if (how > 2) return;
    await turns(random(20));
    if (how === 0) client.reset();
    else if (how === 1) client.close();
    else client.end();
  });
  if (random(6) === 0) {
    client.socket.pause();
    await turns(random(200));
    client.socket.resume();
  }
  let read = 0;
  try {
    for (const one of asked) {
      let answer: Message;
      do {
        answer = await client.response(one.method);
        check(answer, one);
      } while (statusOf(answer) === 103);
      read++;
      if (statusOf(answer) === 101) break;
    }
  } catch (failure) {
    if (!/^the connection ended|^reset$/.test((failure as Error).message)) throw failure;
  }
  await sent.catch(() => undefined);
  client.close();
  await client.closed;
  return read;
}

it.each([
  { pipelining: 1, deeds: DEEDS },
  { pipelining: 8, deeds: DEEDS_PIPELINED },
])(
  'when a storm with pipelining $pipelining is over nothing is left of it, and no exchange saw a byte of another one',
  async ({ pipelining, deeds }) => {
    const seed = Number(process.env.STORM_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const open = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => serve(socket, open));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const configWith = (responseTimeout: string) =>
      configOf({
        listen: '127.0.0.1:0',
        admin: 'off',
        upstreamDefaults: {
          connectTimeout: '200ms',
          responseTimeout,
          pool: { maxConnections: 4, maxQueued: 20, queueTimeout: '120ms', maxExchanges: 9, pipelining },
          eject: { failures: 3, time: '20ms' },
        },
        upstreams: {
          // Nobody listens at the second address.
          two: { url: `http://two.test:${port}` },
          gone: { url: 'http://gone.test:1', onDown: { fallback: 'two' } },
        },
        routes: [
          { path: '/gone', upstream: 'gone' },
          { path: '/nowhere', host: 'elsewhere', upstream: 'two' },
          { path: '/', upstream: 'two' },
        ],
        timeouts: {
          idle: '150ms',
          requestHead: '120ms',
          requestBody: '120ms',
          write: '300ms',
          tunnelIdle: '150ms',
        },
      });
    const deadlines = new Deadlines();
    const counters = new Counters();
    const all: Upstream[] = [];
    const generationOf = (number: number) => {
      const config = configWith(`${100 + number}ms`);
      const upstreams = new Map(
        [...config.upstreams].map(([name, settings]) => {
          const lookup = async (host: string) =>
            host === 'two.test' ? ['127.0.0.1', '127.0.0.2'] : ['127.0.0.3'];
          const upstream = new Upstream(name, settings, deadlines, counters.upstream(name), lookup);
          all.push(upstream);
          return [name, upstream] as const;
        }),
      );
      const { generation, samples } = atOnce(buildGeneration(number, config, upstreams, counters));
      for (const sample of samples) counters.adoptSample(sample);
      return generation;
    };
    const listener = new Listener(
      generationOf(1),
      deadlines,
      counters.downstream,
      { accessLog: null, assignments: null },
      new Descriptors(Number.POSITIVE_INFINITY),
      () => undefined,
    );
    const url = await listener.listen(listener.generation.config.listen[0]!);
    onTestFinished(async () => {
      await listener.stop();
      for (const upstream of all) upstream.stop();
      deadlines.stop();
      server.close();
      for (const socket of open) socket.destroy();
    });

    let next = 0;
    let answers = 0;
    const worker = async (): Promise<void> => {
      while (next < CLIENTS) {
        const number = next++;
        // A reload now and then, while others wait, connect and stream.
        if (number % 100 === 99) {
          const old = listener.generation;
          listener.generation = generationOf(old.number + 1);
          for (const upstream of old.upstreams.values()) upstream.retire();
        }
        const read = await play(
          seeded(seed + number * 7919),
          Number(url.split(':').pop()),
          `${seed}.${number}`,
          deeds,
        );
        answers += read;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    const isQuiet = () =>
      listener.connectionCount === 0 &&
      all.every((one) => one.describe().every((a) => a.inFlight === 0)) &&
      // The review of a pool that was full goes on for a moment.
      deadlines.size === all.reduce((sum, one) => sum + one.connectionCount, 0);
    while (!isQuiet()) await new Promise((resolve) => setImmediate(resolve));

    expect(answers, `seed ${seed}`).toBeGreaterThan(CLIENTS / 4);
    for (const row of counters.variants()) expect(row.inFlight, `seed ${seed}`).toBe(0);
    expect([counters.downstream.connectionsOpen, counters.downstream.tunnelsOpen], `seed ${seed}`).toEqual([
      0, 0,
    ]);
    let connections = 0;
    for (const upstream of all) {
      const idle = upstream.describe().reduce((sum, address) => sum + address.idle, 0);
      expect(upstream.connectionCount, `seed ${seed}`).toBe(idle);
      connections += idle;
    }
    for (const row of counters.upstreams())
      expect([row.exchangesWaiting, row.connectionsHeld, row.streamsOpen], `seed ${seed}`).toEqual([0, 0, 0]);
    expect(counters.downstream.responseBytesBuffered, `seed ${seed}`).toBe(0);
    const counted = [...counters.upstreams()].reduce((sum, row) => sum + row.connectionsOpen, 0);
    expect(counted, `seed ${seed}`).toBe(connections);
    expect(deadlines.size, `seed ${seed}`).toBe(connections);
  },
);
