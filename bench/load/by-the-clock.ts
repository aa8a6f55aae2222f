// Load at a fixed rate: requests are spread evenly over each second and sent whether or not earlier ones were
// answered. A latency counts from the moment at which the request was due, not from when it could be sent, which
// corrects for coordinated omission (as wrk2 does). autocannon's own rate sends each second's requests
// in one burst per connection, which would measure the burst. Usage as for bench/load/autocannon.ts.
import { connect, type Socket } from 'node:net';
import { requestsOf, SCENARIOS, serialize } from '../scenarios.ts';
import { type LoadOrder, type LoadResult, Samples } from './result.ts';

const order = JSON.parse(process.argv[2] ?? '{}') as LoadOrder;
const scenario = SCENARIOS.find(({ name }) => name === order.scenario);
if (scenario?.rate == null) throw new Error(`expected a scenario with a rate, got ${order.scenario}`);

const requests = requestsOf(scenario).map((request) =>
  Buffer.from(serialize(request, `127.0.0.1:${order.port}`, false), 'latin1'),
);
const latencies = new Samples();
let errors = 0;
let bytes = 0;
let next = 0;

/** One keep-alive connection with at most one request in flight. */
class Connection {
  readonly #socket: Socket;
  #dueAt = 0;
  #answer = '';

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on('error', () => {
      errors += 1;
    });
  }

  send(dueAt: number): void {
    this.#dueAt = dueAt;
    this.#socket.write(requests[next % requests.length] as Buffer);
    next += 1;
  }

  #receive(chunk: Buffer): void {
    this.#answer += chunk.toString('latin1');
    const headEnd = this.#answer.indexOf('\r\n\r\n');
    if (headEnd === -1) return;
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#answer)?.[1] ?? Number.NaN);
    if (!(this.#answer.length >= headEnd + 4 + length)) return;
    if (this.#answer.startsWith('HTTP/1.1 200 ')) latencies.add(performance.now() - this.#dueAt);
    else errors += 1;
    bytes += this.#answer.length;
    this.#answer = '';
    release(this);
  }

  close(): void {
    this.#socket.destroy();
  }
}

const idle: Connection[] = [];
/** Moments at which requests were due that found no idle connection; they go first, and their wait counts. */
const overdue: number[] = [];

function release(connection: Connection): void {
  const dueAt = overdue.shift();
  if (dueAt === undefined) idle.push(connection);
  else connection.send(dueAt);
}

const connections = Array.from({ length: scenario.connections }, () => new Connection(order.port));
idle.push(...connections);
const intervalMs = 1000 / scenario.rate;
const startedAt = performance.now();
const endAt = startedAt + order.seconds * 1000;
let dueAt = startedAt;

await new Promise<void>((resolve) => {
  const tick = () => {
    const now = performance.now();
    for (; dueAt <= now && dueAt < endAt; dueAt += intervalMs) {
      const connection = idle.pop();
      if (connection === undefined) overdue.push(dueAt);
      else connection.send(dueAt);
    }
    // What is still unanswered a second after the end is lost.
    const done = dueAt >= endAt && idle.length === connections.length;
    if (done || now > endAt + 1000) resolve();
    else setTimeout(tick, 1);
  };
  tick();
});
errors += connections.length - idle.length + overdue.length;
for (const connection of connections) connection.close();

console.log(
  JSON.stringify({
    answered: latencies.length,
    seconds: order.seconds,
    bytes,
    errors,
    latencyMs: latencies.percentiles(),
  } satisfies LoadResult),
);
