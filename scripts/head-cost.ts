// The cost of a request head, whatever its bytes: parses, decides and writes heads that are expensive on purpose, and prints
// processor time per request and per 8 KiB of the head. `node scripts/head-cost.ts`; the tests include a short run.
import murmurhash from 'murmurhash';
import { parseConfig } from '../src/config/parse.ts';
import { writeRequestHead } from '../src/http1/forward-request.ts';
import { RequestFraming } from '../src/http1/framing.ts';
import { Output } from '../src/http1/output.ts';
import { RequestHead, requestLimits } from '../src/http1/request-head.ts';
import { compileMatches, compileRoutes } from '../src/routing/routes.ts';
import { Splitter } from '../src/split/splitter.ts';

interface CostlyHead {
  readonly name: string;
  readonly head: string;
  /** Options of the split, beside two variants of the same weight. */
  readonly split?: Readonly<Record<string, unknown>>;
  readonly variants?: number;
  readonly paths?: readonly string[];
}

const request = (target: string, ...fields: string[]) =>
  `${[`GET ${target} HTTP/1.1`, 'Host: h', ...fields].join('\r\n')}\r\n\r\n`;
const filled = (text: string, byteCount: number) =>
  text.repeat(Math.ceil(byteCount / text.length)).slice(0, byteCount);
const many = (count: number, make: (i: number) => string) => Array.from({ length: count }, (_, i) => make(i));

const LINE = 8000;
const FIELDS = 31_000;
const OVERRIDE = {
  override: { header: 'x-v', cookie: 'vv', query: 'qq', variants: ['v0'], secret: '0123456789abcdef' },
};
const KEY_LIST = { key: many(16, (i) => (i < 8 ? `$cookie_k${i}` : `$arg_k${i}`)) };
const RENDEZVOUS = { method: 'rendezvous', variants: 1000 } as const;

/** Heads that somebody made to be expensive, each with the configuration that makes it so. */
const COSTLY_HEADS: readonly CostlyHead[] = [
  { name: 'a field of one value', head: request('/?token=1', `X: ${filled('a', FIELDS)}`) },
  {
    name: 'a cookie of ";", an override',
    head: request('/?token=1', `Cookie: ${filled(';', FIELDS)}`),
    split: OVERRIDE,
  },
  {
    name: 'the same with the override in it',
    head: request('/?token=1', `Cookie: vv=x;${filled(';', FIELDS)}`),
    split: OVERRIDE,
  },
  {
    name: 'a cookie of "vv=x;"',
    head: request('/?token=1', `Cookie: ${filled('vv=x;', FIELDS)}`),
    split: OVERRIDE,
  },
  {
    name: 'a cookie of "%41", an override',
    head: request('/?token=1', `Cookie: vv=${filled('%41', FIELDS)}`),
    split: OVERRIDE,
  },
  {
    name: 'a query of "&", an override',
    head: request(`/?qq=x&token=1${filled('&', LINE)}`),
    split: OVERRIDE,
  },
  { name: 'a query of "qq&a&", an override', head: request(`/?${filled('qq&a&', LINE)}`), split: OVERRIDE },
  { name: 'a cookie of ";", 16 keys', head: request('/', `Cookie: ${filled(';', FIELDS)}`), split: KEY_LIST },
  { name: 'a query of "&", 16 keys', head: request(`/?${filled('&', LINE)}`), split: KEY_LIST },
  { name: 'TE of ","', head: request('/?token=1', `TE: ${filled(',', FIELDS)}`) },
  { name: 'Connection of ","', head: request('/?token=1', `Connection: ${filled(',', FIELDS)}`) },
  {
    name: 'Transfer-Encoding of ","',
    head: request('/?token=1', `Transfer-Encoding: ${filled(',', FIELDS)}chunked`),
  },
  {
    name: '32 names in Connection, 65 fields alike',
    head: request(
      '/?token=1',
      `Connection: ${many(32, (i) => `x-aaaaaaaaaaaaaaaaaaaa${i + 10}`)}`,
      ...many(65, (i) => `x-aaaaaaaaaaaaaaaaaaab${i + 10}: 1`),
    ),
  },
  { name: '98 fields', head: request('/?token=1', ...many(98, (i) => `x${i}: 1`)) },
  { name: 'a path of "../"', head: request(`/${filled('a/../', LINE)}`), paths: ['/x/', '/'] },
  { name: 'a path of "/"', head: request(filled('/', LINE)), paths: ['/x/', '/'] },
  { name: 'a path of "%2e"', head: request(`/a${filled('/%2e', LINE)}`), paths: ['/x/', '/'] },
  {
    name: 'rendezvous of 1,000, a token of 8 KiB',
    head: request(`/?token=${filled('a', LINE)}`),
    ...split(RENDEZVOUS),
  },
  {
    name: 'rendezvous of 1,000, a field of 31 KiB',
    head: request('/', `X-K: ${filled('a', FIELDS)}`),
    ...split({ ...RENDEZVOUS, key: '$http_x_k' }),
  },
  {
    name: 'ranges of 1,000, a token of 8 KiB',
    head: request(`/?token=${filled('a', LINE)}`),
    variants: 1000,
  },
];

function split({ variants, ...options }: { variants: number; method: string; key?: string }) {
  return { variants, split: options };
}

/** Processor time of `step` in milliseconds, the least of `rounds` of `times` runs each. */
function cpuMs(step: () => void, rounds: number, times: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < times; i++) step();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000 / times);
  }
  return least;
}

/** Reads, decides and writes this head once for each call. */
function stepOf({ head: text, split: options, variants = 2, paths = ['/'] }: CostlyHead): () => void {
  const document = {
    splits: {
      s: {
        ...options,
        variants: many(variants, (i) => `v${i}`).map((name) => ({ name, weight: 1, upstream: 'u' })),
      },
    },
    upstreams: { u: { url: 'http://u' } },
    routes: paths.map((path) => ({ path, split: 's' })),
  };
  const { config, problems } = parseConfig(JSON.stringify(document), 'head-cost.yaml');
  if (config === undefined) throw new Error(JSON.stringify(problems));
  const splitter = new Splitter('s', config.splits.get('s')!);
  const route = compileRoutes(config, paths, compileMatches(config));
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead();
  head.limits = requestLimits(config.limits);
  const framing = new RequestFraming();
  const out = new Output(65_536);
  const rewrite = { host: null, authority: Buffer.from('u'), forwarded: 'replace', via: false } as const;
  const facts = {
    address: '10.1.2.3',
    isEncrypted: false,
    lines: Buffer.from('X-Forwarded-For: 10.1.2.3\r\n'),
  };
  return () => {
    head.reset();
    const end = head.parse(bytes, 0, bytes.length);
    const fault = end < 0 ? head.fault : framing.read(head);
    if (fault !== null) throw new Error(`${fault}: ${text.slice(0, 60)}`);
    route(head);
    const override = splitter.decide(head).extras?.override ?? null;
    const { target = null, cookie = null, view = null } = override ?? {};
    const nothing = { droppedFields: [], addedLines: '', requestId: null };
    const edit = override === null ? null : { ...nothing, target, cookie, view };
    out.clear();
    writeRequestHead(out, head, framing, end, rewrite, facts, false, edit);
  };
}

/** What one head costs. */
export interface HeadCost {
  readonly name: string;
  readonly bytes: number;
  readonly cpuMs: number;
  /** Processor time of one MurmurHash2 of as many bytes: what a plain pass over them costs on this machine. */
  readonly passMs: number;
}

/** Measures one head. Of several rounds the least counts: the others ran beside something else. */
function measureHead(one: CostlyHead, rounds: number): HeadCost {
  const step = stepOf(one);
  const bytes = Buffer.from(one.head, 'latin1');
  const pass = () => void murmurhash.v2(bytes, 0);
  cpuMs(step, 1, 20);
  cpuMs(pass, 1, 200);
  return {
    name: one.name,
    bytes: bytes.length,
    cpuMs: cpuMs(step, rounds, 20),
    passMs: cpuMs(pass, rounds, 200),
  };
}

if (import.meta.main && process.argv[2] === '--json') {
  console.log(JSON.stringify(COSTLY_HEADS.map((one) => measureHead(one, 3))));
} else if (import.meta.main) {
  console.log('| head | bytes | ms of processor time | ms per 8 KiB |\n| --- | --: | --: | --: |');
  for (const one of COSTLY_HEADS) {
    const { bytes, cpuMs: ms } = measureHead(one, 10);
    const perPart = ms / Math.max(1, bytes / 8192);
    console.log(`| ${one.name} | ${bytes} | ${ms.toFixed(3)} | ${perPart.toFixed(3)} |`);
  }
}
