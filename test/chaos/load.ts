// Honest traffic with nonces, by the clock: each request knows its own answer. An answer of another request is wrong,
// no answer or a bad status is lost, a good one after more than a second is late.
import { Agent, request } from 'node:http';

/** Some time, by performance.now(). */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Tally {
  sent: number;
  /** Requests without a good answer, by status and code, or by the error of the connection. */
  lost: Record<string, number>;
  /** When each of them began and ended, by performance.now(). */
  readonly lostDuring: Span[];
  /** Answers that belong to another request, or to none. */
  wrong: number;
  late: number;
  longestMs: number;
}

const LATE_MS = 1000;
const GIVE_UP_MS = 20_000;

/** Sends requests until `stop`; every fourth is a POST with a body. */
export class Load {
  readonly tally: Tally = { sent: 0, lost: {}, lostDuring: [], wrong: 0, late: 0, longestMs: 0 };
  readonly #port: number;
  readonly #rate: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 500 });
  readonly #inFlight = new Set<Promise<void>>();
  readonly #startedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;

  /** `rate`: requests a second. */
  constructor(port: number, rate: number) {
    this.#port = port;
    this.#rate = rate;
    this.#timer = setInterval(() => this.#catchUp(), 5);
  }

  /** Sends no more and waits for what is under way. */
  async stop(): Promise<Tally> {
    clearInterval(this.#timer);
    await Promise.all(this.#inFlight);
    this.#agent.destroy();
    return this.tally;
  }

  #catchUp(): void {
    const due = ((performance.now() - this.#startedAt) / 1000) * this.#rate;
    while (this.tally.sent < due) {
      const exchange = this.#send(this.tally.sent++).finally(() => this.#inFlight.delete(exchange));
      this.#inFlight.add(exchange);
    }
  }

  async #send(number: number): Promise<void> {
    const method = number % 4 === 0 ? 'POST' : 'GET';
    const body = method === 'POST' ? 'x'.repeat(number % 100) : '';
    const target = `/n${number}?token=${number}`;
    const begun = performance.now();
    const { failure, text } = await this.#ask(method, target, body);
    const tookMs = performance.now() - begun;
    this.tally.longestMs = Math.max(this.tally.longestMs, tookMs);
    if (failure !== null) {
      this.tally.lost[failure] = (this.tally.lost[failure] ?? 0) + 1;
      this.tally.lostDuring.push({ from: begun, to: begun + tookMs });
    } else if (text !== `${method} ${target} ${body.length}`) this.tally.wrong++;
    else if (tookMs > LATE_MS) this.tally.late++;
  }

  #ask(method: string, path: string, body: string): Promise<{ failure: string | null; text: string }> {
    return new Promise((resolve) => {
      const fail = (failure: string) => resolve({ failure, text: '' });
      const headers = {
        host: 'chaos.example',
        ...(method === 'POST' ? { 'content-length': body.length } : {}),
      };
      const options = { host: '127.0.0.1', port: this.#port, agent: this.#agent, method, path, headers };
      const asked = request(options, (response) => {
        let text = '';
        response.setEncoding('latin1').on('data', (data: string) => {
          text += data;
        });
        response.on('error', () => fail('cut'));
        response.on('end', () => {
          const code = response.headers['x-splitter-error'];
          if (response.statusCode === 200) resolve({ failure: null, text });
          else fail([response.statusCode, code].filter(Boolean).join(' '));
        });
      });
      asked.setTimeout(GIVE_UP_MS, () => asked.destroy(new Error('no answer')));
      asked.on('error', (cause: NodeJS.ErrnoException) => fail(cause.code ?? cause.message));
      asked.end(body);
    });
  }
}

/** All requests of a tally that were lost. */
export const lostOf = ({ lost }: Tally): number => Object.values(lost).reduce((sum, count) => sum + count, 0);

/** How many lost requests were not open during any of these spans. */
export const lostBeside = ({ lostDuring }: Tally, spans: readonly Span[]): number =>
  lostDuring.filter((one) => !spans.some(({ from, to }) => one.from <= to && one.to >= from)).length;
