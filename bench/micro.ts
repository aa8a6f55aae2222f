// node bench/micro.ts [--json]: nanoseconds of the steps of every exchange, each over 10,000 different requests
// so that no branch or cache is trained on one. tinybench times all 10,000 together, because one step takes
// less than its clock can measure.
import { pino } from 'pino';
import { Bench } from 'tinybench';
import { documentSchema } from '../src/config/options/document.ts';
import { ChunkedDecoder } from '../src/http1/chunked.ts';
import { writeRequestHead } from '../src/http1/forward-request.ts';
import { writeResponseHead } from '../src/http1/forward-response.ts';
import { RequestFraming, ResponseFraming } from '../src/http1/framing.ts';
import { Output } from '../src/http1/output.ts';
import { RequestHead } from '../src/http1/request-head.ts';
import { ResponseHead } from '../src/http1/response-head.ts';
import { Splitter } from '../src/split/splitter.ts';
import { AccessLog } from '../src/telemetry/access-log.ts';
import { Counters } from '../src/telemetry/counters.ts';
import { Sample } from '../src/telemetry/sample.ts';
import { Address, UpstreamServer } from '../src/upstream/address.ts';
import { Balance } from '../src/upstream/balance.ts';
import { microTable } from './report.ts';
import { DECIDE_AMONG, type MicroRow } from './results.ts';
import { requestsOf, SCENARIOS, serialize } from './scenarios.ts';

const ROUNDS = 60;
const COUNT = 10_000;

/** What the measured steps leave behind, so that none of them can be optimised away. */
let sink = 0;

const bench = new Bench({ iterations: ROUNDS, time: 0, warmupIterations: 10, warmupTime: 0 });

function measure(name: string, step: (at: number) => number): void {
  bench.add(name, () => {
    for (let at = 0; at < COUNT; at += 1) sink += step(at);
  });
}

const headsOf = (name: string) =>
  requestsOf(SCENARIOS.find((scenario) => scenario.name === name)!, COUNT).map((request) =>
    Buffer.from(serialize(request, 'backend.example:8080', false), 'latin1'),
  );
const HEADS = { small: headsOf('small-get'), browser: headsOf('browser-get') };
const RESPONSES = Array.from({ length: COUNT }, (_, at) =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nServer: app/${at % 9}\r\nContent-Type: text/html; charset=utf-8\r\nETag: "${at * 7919}"\r\n` +
      `Cache-Control: private, max-age=${at % 600}\r\nContent-Length: ${at % 9999}\r\nConnection: keep-alive\r\n\r\n`,
  ),
);

const CHUNKS = Buffer.from('1\r\nx\r\n'.repeat(64));
const chunkMemory = Buffer.alloc(CHUNKS.length);
const decoder = new ChunkedDecoder(true);

const splitterWith = (options: object) =>
  new Splitter(
    'bench',
    documentSchema.parse({
      splits: {
        bench: {
          variants: [
            { name: 'a', share: '50%', upstream: 'http://a' },
            { name: 'b', share: '*', upstream: 'http://b' },
          ],
          ...options,
        },
      },
    }).splits.bench!,
    undefined,
    undefined,
    undefined,
    { clock: Date.now },
  );
const splitter = splitterWith({});
const among = [2, 1000].map((variants) => ({
  variants,
  splitter: splitterWith({
    variants: Array.from({ length: variants }, (_, at) => ({
      name: `v${at}`,
      share: at === variants - 1 ? '*' : `${100 / variants}%`,
      upstream: 'http://a',
    })),
  }),
}));
const experiments = {
  'coverage of 10 %': splitterWith({ coverage: '10%' }),
  'coverage by the clock': splitterWith({ coverage: { steps: [{ at: '2020-01-01T00:00Z', to: '10%' }] } }),
  'two conditions': splitterWith({
    when: {
      all: [{ variable: '$request_method', is: 'GET' }, { not: { variable: '$uri', prefix: '/admin' } }],
    },
  }),
};
const upstream = documentSchema.parse({ upstreams: { bench: { url: 'http://bench:8080' } } }).upstreams
  .bench!;
const member = { url: upstream.url!, weight: 1, backup: false, down: false };
const server = new UpstreamServer(
  0,
  member,
  upstream,
  () => undefined,
  0,
  () => Promise.resolve([]),
);
const addresses = Array.from({ length: 8 }, (_, at) => new Address(`10.0.0.${at + 1}`, server, ''));
const rewrite = {
  host: null,
  authority: Buffer.from('backend'),
  forwarded: 'append',
  via: false,
} as const;
const facts = {
  address: '10.1.2.3',
  isEncrypted: false,
  lines: Buffer.from('X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: http\r\n'),
};

for (const [kind, heads] of Object.entries(HEADS)) {
  const head = new RequestHead();
  const framing = new RequestFraming();
  const out = new Output(16_384);
  const parse = (at: number) => {
    const bytes = heads[at]!;
    head.reset();
    return head.parse(bytes, 0, bytes.length);
  };
  const parsed = heads.map((bytes) => {
    const one = new RequestHead();
    const end = one.parse(bytes, 0, bytes.length);
    const itsFraming = new RequestFraming();
    itsFraming.read(one);
    return { head: one, framing: itsFraming, end };
  });
  measure(`parse a request head, ${kind}`, parse);
  measure(
    `parse it and read its framing, ${kind}`,
    (at) => parse(at) + (framing.read(head) === null ? 1 : 0),
  );
  // As in an exchange, where the head that is decided by was parsed a moment ago and is in the processor's cache.
  measure(`parse it, read its framing and decide, ${kind}`, (at) => {
    const end = parse(at);
    framing.read(head);
    return end + splitter.decide(head).hash;
  });
  measure(`decide by $arg_token, ${kind}`, (at) => splitter.decide(parsed[at]!.head).hash);
  if (kind === 'small') {
    for (const one of among) {
      measure(DECIDE_AMONG(one.variants), (at) => one.splitter.decide(parsed[at]!.head).hash);
    }
  }
  const balance = new Balance({ maxSkew: 1.25 });
  const exchange = { isPipelinable: true, attempts: { failedAddresses: [] }, keyHash: 0, head };
  measure(`decide, and choose one of 8 addresses by key, ${kind}`, (at) => {
    exchange.keyHash = splitter.decide(parsed[at]!.head).hash;
    return balance.choose(addresses, exchange, 0)!.inFlight;
  });
  for (const [what, experiment] of Object.entries(experiments)) {
    measure(`decide with ${what}, ${kind}`, (at) => experiment.decide(parsed[at]!.head).hash);
  }
  measure(`write the request head that goes on, ${kind}`, (at) => {
    const one = parsed[at]!;
    out.clear();
    writeRequestHead(out, one.head, one.framing, one.end, rewrite, facts, false);
    return out.length;
  });
}

const response = new ResponseHead();
const responseFraming = new ResponseFraming();
const out = new Output(16_384);
const responseRewrite = {
  minorVersion: 1,
  body: 1,
  keepAlive: true,
  via: false,
  droppedFields: null,
  addedLines: '',
  dateLine: 'Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n',
};
const parseResponse = (at: number) => {
  const bytes = RESPONSES[at]!;
  response.reset();
  const end = response.parse(bytes, 0, bytes.length);
  responseFraming.read(response, false);
  return end;
};
measure('parse a response head and read its framing', parseResponse);
measure('the same, and write the head that goes on', (at) => {
  const end = parseResponse(at);
  out.clear();
  writeResponseHead(out, response, responseFraming, end, responseRewrite);
  return out.length;
});

const decodeChunks = (read: 'next' | 'nextJoined'): number => {
  CHUNKS.copy(chunkMemory);
  decoder.reset();
  let position = 0;
  while (position < chunkMemory.length) position = decoder[read](chunkMemory, position, chunkMemory.length);
  return position;
};
measure('decode 64 chunks of one byte, each a run', () => decodeChunks('next'));
measure('decode 64 chunks of one byte, one run', () => decodeChunks('nextJoined'));

const counters = new Counters().variant('bench', 'a', 'backend');
measure('count one exchange (one update of every metric)', (at) => {
  counters.begin();
  counters.end(200, -1, (at % 97) / 3, at, at * 2);
  return 1;
});
const sample = new Sample({
  split: 'bench',
  variants: ['a', 'b'].map((name) => ({ name, share: 0.5 })),
  definition: '',
  key: '',
  hasAnyHash: true,
});
// A million users have come, so that the next one finds nothing of its own in the processor's caches.
for (let at = 0; at < 1_000_000; at += 1) sample.add(at & 1, Math.imul(at, 2654435761) >>> 0, 0, 5);
measure('count an exchange in its sample', (at) => {
  sample.add(at & 1, Math.imul(at, 2654435761) >>> 0, 0, (at % 97) / 3);
  return 1;
});
// All that observing costs each exchange; it may be 500 ns. `sampled` is the dearest of the access log's decisions: it
// draws a random number.
const accessLog = new AccessLog(pino({ level: 'silent' }), 'sampled', 0.01);
measure('count one exchange and its key, ask whether to log', (at) => {
  counters.begin();
  counters.end(200, -1, (at % 97) / 3, at, at * 2);
  sample.add(at & 1, Math.imul(at, 2654435761) >>> 0, 0, (at % 97) / 3);
  return accessLog.wants(200, -1) ? 1 : 0;
});

bench.runSync();
const rows = bench.tasks.map(({ name, result }): MicroRow => {
  if (result.state !== 'completed') throw new Error(`${name}: expected figures, got ${result.state}`);
  const nanoseconds = (ms: number) => (ms * 1e6) / COUNT;
  return { name, medianNs: nanoseconds(result.latency.p50), fastestNs: nanoseconds(result.latency.min) };
});
if (process.argv[2] === '--json') console.log(JSON.stringify(rows));
else console.log(`${microTable(rows)}\n(${sink % 2 === 0 ? 'even' : 'odd'} sum of results)`);
