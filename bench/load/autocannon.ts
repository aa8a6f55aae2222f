// Load by autocannon: as many requests as the connections can carry; each connection sends its part of the
// scenario's requests. Latencies come from its events, because its own histogram counts whole milliseconds.
// Usage: node bench/load/autocannon.ts '{"scenario":"small-get","port":8000,"seconds":5}'.
import autocannon from 'autocannon';
import { requestsOf, SCENARIOS } from '../scenarios.ts';
import { type LoadOrder, type LoadResult, Samples } from './result.ts';

const order = JSON.parse(process.argv[2] ?? '{}') as LoadOrder;
const scenario = SCENARIOS.find(({ name }) => name === order.scenario);
if (scenario === undefined) throw new Error(`expected a scenario, got ${JSON.stringify(order.scenario)}`);

const requests = requestsOf(scenario);
const each = Math.ceil(requests.length / scenario.connections);
const latencies = new Samples();
let clients = 0;
let otherStatus = 0;
let bytes = 0;

const run = autocannon({
  url: `http://127.0.0.1:${order.port}`,
  connections: scenario.connections,
  duration: order.seconds,
  timeout: 30,
  sampleInt: 100,
  ...(scenario.newConnectionEach ? { reconnectRate: 1 } : {}),
  setupClient(client) {
    const start = (clients * each) % requests.length;
    client.setRequests(requests.slice(start, start + each).map((request) => ({ ...request })));
    clients += 1;
    if (!scenario.newConnectionEach) return;
    // autocannon emits no 'response' for the last request of a connection, and here each is the last one.
    let sentAt = 0;
    client.on('request', () => {
      sentAt = performance.now();
    });
    client.on('headers', ({ statusCode }: { statusCode: number }) => {
      if (statusCode === 200) latencies.add(performance.now() - sentAt);
      else otherStatus += 1;
    });
  },
});
run.on('response', (_client: unknown, status: number, size: number, durationMs: number) => {
  bytes += size;
  if (status === 200) latencies.add(durationMs);
  else otherStatus += 1;
});
const startedAt = performance.now();
const result = await run;

console.log(
  JSON.stringify({
    answered: latencies.length,
    seconds: (performance.now() - startedAt) / 1000,
    bytes: scenario.newConnectionEach ? latencies.length * scenario.answerBytes : bytes,
    errors: result.errors + otherStatus,
    latencyMs: latencies.percentiles(),
  } satisfies LoadResult),
);
