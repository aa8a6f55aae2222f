// The scenarios: their requests, connections and rates. A seeded generator makes the tokens and header values, so the
// list is the same in every run and no two requests are alike: no contender gains from seeing the same bytes twice.
// Knows nothing of rivals or load generators.

/** Delay of the upstream's /slow answers. */
export const SLOW_MS = 50;

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly bodyBytes: number;
  /** Least bytes that each answer must have: a cut answer is no answer. */
  readonly answerBytes: number;
  /** Connections with a request in flight. */
  readonly connections: number;
  /** Connections that are open beside them and do nothing. */
  readonly idleConnections: number;
  /** Requests a second, sent by the clock whatever the answers do; null = the next one after each answer. */
  readonly rate: number | null;
  readonly headers: 'plain' | 'browser';
  readonly newConnectionEach: boolean;
  /** Whether the body goes out in chunks of 4 KiB. */
  readonly sendsChunks: boolean;
  /** Each request has one of a thousand paths below `path`. */
  readonly spreadsPaths: boolean;
  /** Thousandths of a core that a contender may use; null = all of it. */
  readonly quotaMillicores: number | null;
  /** Whether the pauses of the splitter's collector are recorded. */
  readonly recordsPauses: boolean;
  /** How many times longer than the others it runs. */
  readonly lengthFactor: number;
}

const scenario = (
  given: Pick<Scenario, 'name' | 'title' | 'path' | 'answerBytes'> & Partial<Scenario>,
): Scenario => ({
  method: 'GET',
  bodyBytes: 0,
  connections: 64,
  idleConnections: 0,
  rate: null,
  headers: 'plain',
  newConnectionEach: false,
  sendsChunks: false,
  spreadsPaths: false,
  quotaMillicores: null,
  recordsPauses: false,
  lengthFactor: 1,
  ...given,
});

/** In the order of the report. */
export const SCENARIOS: readonly Scenario[] = [
  scenario({ name: 'small-get', title: 'Small GET, keep-alive', path: '/small', answerBytes: 14 }),
  scenario({
    name: 'small-get-256',
    title: 'Small GET over 256 connections',
    path: '/small',
    answerBytes: 14,
    connections: 256,
  }),
  scenario({
    name: 'browser-get',
    title: "GET with a browser's header fields, different in each request",
    path: '/small',
    answerBytes: 14,
    headers: 'browser',
  }),
  scenario({
    name: 'post-4k',
    title: 'POST of 4 KiB',
    path: '/small',
    method: 'POST',
    bodyBytes: 4096,
    answerBytes: 14,
  }),
  scenario({
    name: 'post-1m',
    title: 'POST of 1 MiB, 16 connections',
    path: '/small',
    method: 'POST',
    bodyBytes: 1024 * 1024,
    answerBytes: 14,
    connections: 16,
  }),
  scenario({ name: 'get-64k', title: 'Responses of 64 KiB', path: '/64k', answerBytes: 64 * 1024 }),
  scenario({
    name: 'get-1m',
    title: 'Responses of 1 MiB, 16 connections',
    path: '/1m',
    answerBytes: 1024 * 1024,
    connections: 16,
  }),
  scenario({
    name: 'chunked',
    title: 'Chunked responses, 8 chunks of 4 KiB sent one by one',
    path: '/chunked',
    answerBytes: 32 * 1024,
  }),
  scenario({
    name: 'chunked-both',
    title: 'Chunked both ways, 8 chunks of 4 KiB each',
    path: '/chunked',
    method: 'POST',
    bodyBytes: 32 * 1024,
    sendsChunks: true,
    answerBytes: 32 * 1024,
  }),
  scenario({
    name: 'new-connection',
    title: 'A new connection for each request',
    path: '/small',
    answerBytes: 14,
    newConnectionEach: true,
  }),
  scenario({
    name: 'logged',
    title: 'Everything logged: a line of JSON for each request, to a pipe',
    path: '/small',
    answerBytes: 14,
  }),
  scenario({
    name: 'routes-1000',
    title: 'Small GET over 1,000 routes and over one',
    path: '/small',
    answerBytes: 14,
    spreadsPaths: true,
  }),
  scenario({
    name: 'open-10000',
    title: '10,000 open connections, 1,000 of them busy',
    path: '/small',
    answerBytes: 14,
    connections: 1000,
    idleConnections: 9000,
  }),
  scenario({
    name: 'idle-1000',
    title: 'Small GET with 1,000 idle connections beside the 64 busy ones',
    path: '/small',
    answerBytes: 14,
    idleConnections: 1000,
  }),
  scenario({
    name: 'open-2000',
    title: 'Small GET with 2,000 idle connections beside the 64 busy ones',
    path: '/small',
    answerBytes: 14,
    idleConnections: 2000,
  }),
  scenario({
    name: 'rate-2000',
    title: '2,000 requests a second by the clock',
    path: '/small',
    answerBytes: 14,
    rate: 2000,
    recordsPauses: true,
    lengthFactor: 2,
  }),
  scenario({
    name: 'quota-200',
    title: '200 requests a second in a tenth of a core',
    path: '/small',
    answerBytes: 14,
    connections: 16,
    rate: 200,
    quotaMillicores: 100,
    lengthFactor: 3,
  }),
  scenario({
    name: 'slow-upstream',
    title: `An upstream that takes ${SLOW_MS} ms, 2,000 clients at once`,
    path: '/slow',
    answerBytes: 14,
    connections: 2000,
    lengthFactor: 2,
  }),
];

/** One request as data. */
export interface PlannedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly sendsChunks: boolean;
}

/** The name of one of many routes: a segment of a path. */
export const routeName = (at: number): string => `route-${String(at).padStart(5, '0')}`;

const CHUNK_BYTES = 4096;

function inChunks(body: string): string {
  let text = '';
  for (let at = 0; at < body.length; at += CHUNK_BYTES) {
    const chunk = body.slice(at, at + CHUNK_BYTES);
    text += `${chunk.length.toString(16)}\r\n${chunk}\r\n`;
  }
  return `${text}0\r\n\r\n`;
}

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const BROWSERS = [
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148',
];
const LANGUAGES = ['en-GB,en;q=0.9', 'de-DE,de;q=0.8,en;q=0.5', 'fr,en;q=0.6', 'pt-BR,pt;q=0.9,en-US;q=0.4'];

/** Bytes that the bodies of a scenario's requests may have together. */
const BODIES_BYTES_MAX = 64 * 1024 * 1024;

/** How many requests a scenario has: fewer than 10,000 where their bodies are large. */
const countOf = ({ bodyBytes }: Scenario) =>
  Math.min(10_000, Math.floor(BODIES_BYTES_MAX / Math.max(1, bodyBytes)));

/** `count` requests of a scenario, each with a token of its own. */
export function requestsOf(scenario: Scenario, count = countOf(scenario)): PlannedRequest[] {
  const random = seeded(20_200_401);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  const word = (length: number) => {
    let text = '';
    while (text.length < length) text += Math.floor(random() * 2 ** 32).toString(36);
    return text.slice(0, length);
  };
  const body = scenario.bodyBytes > 0 ? 'p'.repeat(scenario.bodyBytes) : undefined;
  const requests: PlannedRequest[] = [];
  for (let at = 0; at < count; at += 1) {
    const headers: Record<string, string> = {};
    if (scenario.headers === 'browser') {
      headers['User-Agent'] = pick(BROWSERS);
      headers.Accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8';
      headers['Accept-Language'] = pick(LANGUAGES);
      headers['Accept-Encoding'] = 'gzip, deflate, br, zstd';
      headers.Referer = `https://shop.example/${word(6)}/${word(10 + Math.floor(random() * 30))}`;
      headers.Cookie = `sid=${word(32)}; consent=1; _ga=GA1.1.${Math.floor(random() * 1e9)}; theme=${word(4)}`;
      headers['X-Request-Id'] = `${word(8)}-${word(4)}-${word(12)}`;
      headers['Sec-Fetch-Dest'] = 'document';
      headers['Sec-Fetch-Mode'] = 'navigate';
      headers['Sec-Fetch-Site'] = pick(['none', 'same-origin', 'cross-site']);
      headers['Upgrade-Insecure-Requests'] = '1';
      headers.DNT = '1';
    }
    if (body !== undefined) headers['Content-Type'] = 'application/octet-stream';
    const token = word(6 + Math.floor(random() * 18));
    const path = scenario.spreadsPaths ? `${scenario.path}/${routeName(at % 1000)}/item` : scenario.path;
    const { method, sendsChunks } = scenario;
    requests.push({ method, path: `${path}?token=${token}`, headers, body, sendsChunks });
  }
  return requests;
}

/** The bytes of one request, for load generators that send bytes. */
export function serialize(request: PlannedRequest, authority: string, close: boolean): string {
  let head = `${request.method} ${request.path} HTTP/1.1\r\nHost: ${authority}\r\n`;
  for (const [name, value] of Object.entries(request.headers)) head += `${name}: ${value}\r\n`;
  if (close) head += 'Connection: close\r\n';
  if (request.body === undefined) return `${head}\r\n`;
  if (request.sendsChunks) return `${head}Transfer-Encoding: chunked\r\n\r\n${inChunks(request.body)}`;
  return `${head}Content-Length: ${Buffer.byteLength(request.body)}\r\n\r\n${request.body}`;
}
