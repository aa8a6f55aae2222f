// Hostile clients and hostile upstreams against the data plane, on real sockets: seeded and bounded in time.
// `npm run fuzz`; the tests include a short run.
//
// Oracles: the process lives and answers a new client at once; what reached the upstream is canonical, equals what a
// strict parser finds in the client's bytes, and llhttp frames it the same; a response arrives complete and unchanged,
// or is visibly cut; an honest client never sees a byte of another exchange (each request carries a nonce).
import fc from 'fast-check';
import { pino } from 'pino';
import { Ambassador } from '../../src/ambassador.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { type Message, readMessage, statusOf, valuesOf } from '../support/message.ts';
import { cutAt, cuts, nastyRequests, nastyResponses } from '../support/nasty.ts';
import { readWithNode } from '../support/node-parser.ts';
import { type Readings, readRequests, readResponses } from '../support/our-parser.ts';
import { RawClient } from '../support/raw-client.ts';
import { JudgingUpstream } from './judging-upstream.ts';

/** Lanes run side by side in one process: what is shared by mistake shows as another lane's bytes. */
const LANES = 3;
/** Inputs made from one seed at once. */
const BATCH = 64;

/** How much was tried, and how much of it meant something. */
export interface FuzzTally {
  rounds: number;
  /** Requests of hostile clients that reached an upstream. */
  forwarded: number;
  /** Hostile clients that were refused. */
  refused: number;
  /** Hostile responses that arrived whole. */
  relayed: number;
  /** Hostile responses that became a 502 or a cut. */
  cut: number;
  /** Honest exchanges beside them. */
  honest: number;
}

/** A broken promise, with what is needed to see it again. */
export class Finding extends Error {
  constructor(what: string, seed: number, pieces: readonly Buffer[]) {
    const bytes = pieces.map((piece) => JSON.stringify(piece.toString('latin1'))).join(' + ');
    super(`${what}\nseed: ${seed}\nbytes: ${bytes}`);
    this.name = 'Finding';
  }
}

const HONEST_METHODS = /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE) [\x21-\x7e]+ HTTP\/1\.1$/;

/** How the hostile upstream is asked: with or without a body in its answer, or with a body that never ends. */
type Asking = 'GET' | 'HEAD' | 'POST';

class Lane {
  readonly #name: string;
  readonly #tally: FuzzTally;
  readonly #upstream = new JudgingUpstream();
  #ambassador: Ambassador | null = null;
  #port = 0;
  #honest: RawClient[] = [];
  #nonce = 0;

  constructor(name: string, tally: FuzzTally) {
    this.#name = name;
    this.#tally = tally;
  }

  async start(): Promise<void> {
    const document = {
      listen: '127.0.0.1:0',
      admin: 'off',
      // The client ends its side behind the bytes that it has, and reads on.
      halfClose: 'answer',
      upstreams: {
        u: {
          url: `http://127.0.0.1:${await this.#upstream.listen()}`,
          pool: { maxConnections: 4 },
          responseTimeout: '10s',
        },
      },
      routes: [{ upstream: 'u' }],
    };
    const outcome = parseConfig(JSON.stringify(document), 'fuzz.yaml');
    if (outcome.config === undefined) throw new Error(JSON.stringify(outcome.problems));
    this.#ambassador = new Ambassador(outcome.config, { log: pino({ level: 'silent' }) });
    await this.#ambassador.start();
    this.#port = Number(/:(\d+)$/.exec(this.#ambassador.listening[0]!)![1]);
    for (let i = 0; i < 2; i++) this.#honest.push(await RawClient.connect(this.#port));
  }

  async stop(): Promise<void> {
    for (const client of this.#honest) client.close();
    await this.#ambassador?.stop();
    this.#upstream.close();
  }

  /** One hostile client beside honest ones. */
  async clientRound(stream: Buffer, places: readonly number[], resets: boolean, seed: number): Promise<void> {
    const pieces = cutAt(stream, places);
    const fail = (what: string): never => {
      throw new Finding(what, seed, pieces);
    };
    this.#upstream.takeTranscripts();
    const expected = readRequests([stream], true);
    const [received] = await Promise.all([
      this.#attack(pieces, resets ? 'reset' : 'end'),
      this.#askHonestly(fail),
    ]);
    await this.#isAlive(fail);
    const { complaint, seen } = this.#upstream;
    if (complaint !== null) fail(`what reached the upstream is not canonical: ${complaint}`);
    this.#compareRequests(expected, seen, resets, fail);
    if (!resets) this.#readAnswers(expected, received, fail);
    await this.#askNode(this.#upstream.takeTranscripts(), fail);
    this.#tally.rounds++;
  }

  /** One hostile upstream beside honest exchanges. */
  async upstreamRound(
    answer: Buffer,
    places: readonly number[],
    asking: Asking,
    seed: number,
  ): Promise<void> {
    const pieces = cutAt(answer, places);
    const fail = (what: string): never => {
      throw new Finding(what, seed, pieces);
    };
    const expected = readResponses([answer], () => asking === 'HEAD');
    this.#upstream.evil = pieces;
    // A whole response lets the connection live on, with whatever the upstream has sent behind it.
    this.#upstream.keepsOpen = (finalOf(expected)?.end ?? -1) >= 0;
    const request = {
      GET: 'GET /evil HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
      HEAD: 'HEAD /evil HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
      POST: 'POST /evil-early HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nbegun',
    }[asking];
    const ends = asking !== 'POST';
    const [received] = await Promise.all([
      this.#attack([Buffer.from(request)], ends ? 'end' : 'wait'),
      this.#askHonestly(fail),
    ]);
    await this.#isAlive(fail);
    const { complaint } = this.#upstream;
    if (complaint !== null) fail(complaint);
    this.#compareResponse(expected, received, asking, fail);
    this.#tally.rounds++;
  }

  async #attack(pieces: readonly Buffer[], then: 'end' | 'reset' | 'wait'): Promise<string> {
    const client = await RawClient.connect(this.#port);
    await client.send(...pieces);
    if (then === 'reset') client.reset();
    else if (then === 'end') client.end();
    await client.ended;
    client.close();
    return client.pending;
  }

  /** Honest clients on connections that live through all rounds. */
  async #askHonestly(fail: (what: string) => never): Promise<void> {
    await Promise.all(this.#honest.map((client) => this.#askWithNonce(client, fail)));
  }

  async #isAlive(fail: (what: string) => never): Promise<void> {
    const client = await RawClient.connect(this.#port);
    await this.#askWithNonce(client, fail);
    client.close();
  }

  async #askWithNonce(client: RawClient, fail: (what: string) => never): Promise<void> {
    const path = `/honest/${this.#name}/${this.#nonce++}`;
    let answer: Message;
    try {
      answer = await client.ask(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    } catch (error) {
      return fail(`an honest client got no answer: ${(error as Error).message}`);
    }
    if (statusOf(answer) !== 200 || answer.body !== `nonce ${path}`) {
      fail(`an honest client got what is not its own: ${JSON.stringify(answer.raw)}`);
    }
    if (client.pending !== '')
      fail(`an honest client got more than its own: ${JSON.stringify(client.pending)}`);
    this.#tally.honest++;
  }

  #compareRequests(
    expected: Readings,
    seen: readonly Message[],
    resets: boolean,
    fail: (what: string) => never,
  ): void {
    const wanted = expected.messages.filter(({ end }) => end >= 0).filter((one) => !isAnsweredHere(one));
    this.#tally.forwarded += seen.length;
    if (seen.length > wanted.length)
      fail(`the upstream saw a request that nobody sent: ${seen.at(-1)!.line}`);
    for (const [i, request] of seen.entries()) {
      const { line, body } = wanted[i]!;
      if (request.line !== `${line[0]} ${line[1]} HTTP/1.1`) {
        fail(`the upstream saw ${request.line} in place of ${line.join(' ')}`);
      }
      if (request.body !== body) fail(`the upstream saw another body: ${JSON.stringify(request.body)}`);
      const hops = valuesOf(request, 'connection').join();
      if (hops !== '' && hops !== 'TE' && hops !== 'Upgrade') fail(`the upstream saw Connection: ${hops}`);
      for (const name of ['keep-alive', 'proxy-connection']) {
        if (valuesOf(request, name).length > 0) fail(`the upstream saw ${name}`);
      }
    }
    if (!resets && seen.length < wanted.length)
      fail(`${wanted.length} requests were whole, ${seen.length} arrived`);
  }

  /** The client's answers: one for each whole request, a refusal where the strict reader refuses, and nothing else. */
  #readAnswers(expected: Readings, received: string, fail: (what: string) => never): void {
    let rest = received;
    const whole = expected.messages.filter(({ end }) => end >= 0);
    for (const { line } of whole) {
      let answer: Message | null = null;
      try {
        answer = readMessage(rest, { method: line[0]! });
      } catch (error) {
        fail(`an answer is not canonical: ${(error as Error).message}`);
      }
      if (answer === null) return fail(`no answer to ${line.join(' ')}: ${JSON.stringify(rest)}`);
      rest = rest.slice(answer.raw.length);
      if (valuesOf(answer, 'x-splitter-error').length > 0) break;
    }
    if (expected.fault !== null) this.#tally.refused++;
    if (rest === '') return;
    const cutShort = expected.messages.find(({ end }) => end < 0);
    const last = readMessage(rest, { method: cutShort?.line[0] ?? 'GET' });
    if (last === null || last.raw !== rest || statusOf(last) < 400) {
      fail(`bytes behind the last answer: ${JSON.stringify(rest)}`);
    }
  }

  #compareResponse(
    expected: Readings,
    received: string,
    method: string,
    fail: (what: string) => never,
  ): void {
    const final = finalOf(expected);
    let rest = received;
    let answer: Message | null = null;
    try {
      do {
        answer = readMessage(rest, { method });
        if (answer !== null) rest = rest.slice(answer.raw.length);
      } while (answer !== null && statusOf(answer) < 200);
    } catch (error) {
      fail(`the response is not canonical: ${(error as Error).message}`);
    }
    const isWhole = final !== undefined && (final.end >= 0 || final.framing === 'close');
    if (isWhole) {
      this.#tally.relayed++;
      if (answer === null) return fail(`a whole response did not arrive: ${JSON.stringify(received)}`);
      const hasBody = method !== 'HEAD' && final.framing !== 'none';
      if (statusOf(answer) !== Number(final.line[0]!.slice(0, 3))) fail(`another status: ${answer.line}`);
      if (hasBody && answer.body !== final.body) fail(`another body: ${JSON.stringify(answer.body)}`);
    } else {
      this.#tally.cut++;
      if (answer !== null && statusOf(answer) !== 502)
        fail(`a well-formed lie: ${JSON.stringify(answer.raw)}`);
    }
    if (answer !== null && rest !== '') fail(`bytes behind the response: ${JSON.stringify(rest)}`);
  }

  /** llhttp reads in what reached the upstream the same requests, each where the splitter wrote it. */
  async #askNode(transcripts: readonly string[], fail: (what: string) => never): Promise<void> {
    const known = transcripts.filter((text) => HONEST_METHODS.test(text.slice(0, text.indexOf('\r\n'))));
    const plain = known.filter((text) => !/\r\nUpgrade: /i.test(text));
    if (plain.length === 0) return;
    const node = await readWithNode([Buffer.from(plain.join(''), 'latin1')]);
    const lines = node.requests.map(({ method, target }) => `${method} ${target} HTTP/1.1`);
    const wanted = plain.map((text) => text.slice(0, text.indexOf('\r\n')));
    if (node.error !== null || lines.join('\n') !== wanted.join('\n')) {
      fail(`llhttp reads ${JSON.stringify(lines)} (${node.error}) where ${JSON.stringify(wanted)} was sent`);
    }
  }
}

/** The response that the client should get: the first final one, unless a switch of protocols stands in front. */
function finalOf(readings: Readings): Readings['messages'][number] | undefined {
  const first = readings.messages.find(({ line }) => !/^1(?!01)/.test(line[0]!));
  return first === undefined || first.line[0]!.startsWith('101') ? undefined : first;
}

/** Requests that the splitter answers itself: Max-Forwards has run out, or an upgrade with a body. */
function isAnsweredHere(one: Readings['messages'][number]): boolean {
  const [method] = one.line;
  const value = (name: string) =>
    one.fields.flatMap((field, i) =>
      i % 2 === 0 && field.toLowerCase() === name ? [one.fields[i + 1]!] : [],
    );
  if (method === 'OPTIONS' || method === 'TRACE') {
    if (value('max-forwards').some((hops) => /^0+$/.test(hops))) return true;
  }
  const upgrades = value('upgrade');
  const passesUpgrade =
    one.upgrade && one.minorVersion === 1 && upgrades.length === 1 && /^websocket$/i.test(upgrades[0]!);
  return passesUpgrade && one.line[1] !== '*' && one.framing !== 'none';
}

const clientInput = fc.tuple(nastyRequests, cuts, fc.integer({ min: 0, max: 9 }));
const upstreamInput = fc.tuple(nastyResponses, cuts, fc.integer({ min: 0, max: 9 }));

/** Fuzzes until `isOver` says so, asked before each batch. Rejects with a Finding. */
export async function fuzz(firstSeed: number, isOver: (tally: FuzzTally) => boolean): Promise<FuzzTally> {
  const tally: FuzzTally = { rounds: 0, forwarded: 0, refused: 0, relayed: 0, cut: 0, honest: 0 };
  const lanes = Array.from({ length: LANES }, (_, i) => new Lane(String(i), tally));
  for (const lane of lanes) await lane.start();
  try {
    for (let seed = firstSeed; !isOver(tally); seed += LANES) {
      const runs = lanes.map(async (lane, i) => {
        const own = seed + i;
        const clients = fc.sample(clientInput, { seed: own, numRuns: BATCH });
        const upstreams = fc.sample(upstreamInput, { seed: own, numRuns: BATCH });
        for (let k = 0; k < BATCH; k++) {
          const [stream, clientCuts, client] = clients[k]!;
          await lane.clientRound(stream, clientCuts, client === 0, own);
          const [answer, upstreamCuts, upstream] = upstreams[k]!;
          const asking = upstream === 0 ? 'HEAD' : upstream < 4 ? 'POST' : 'GET';
          await lane.upstreamRound(answer, upstreamCuts, asking, own);
        }
      });
      await Promise.all(runs);
    }
  } finally {
    for (const lane of lanes) await lane.stop();
  }
  return tally;
}
