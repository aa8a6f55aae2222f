// npm run bench -- --tls: what TLS towards clients costs, in turns on the same core: processor time of each new handshake,
// each resumed one, and each request on a kept connection with TLS and without, for a tuned nginx, one build of the splitter
// or several, and on Node.js a server that proxies nothing and a proxy that reads nothing. All of them have the same
// certificate and negotiate the same (bench/load/tls.ts). Writes no files.
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import {
  CIPHER,
  CLIENTS,
  GROUP,
  HYBRID_GROUP,
  handshakes,
  keptRequests,
  LARGE_PATH,
  PROTOCOL,
  sessionOf,
  type TlsTarget,
} from './load/tls.ts';
import type { Build, Options } from './options.ts';
import { cpuMicroseconds, freePorts, Running, scratchDirectory } from './processes.ts';
import type { Progress } from './progress.ts';
import { table } from './report.ts';
import { figure } from './results.ts';
import { NODE_FLAGS, nginxText } from './rivals.ts';
import type { Rig } from './turns.ts';

const here = import.meta.dirname;
const REFERENCE_NAME = 'nginx, tuned';
/** It has no part in the loads that open a connection for each request: its upstream would count as well. */
const BLIND_NAME = 'Node.js, a blind proxy';
/** How much longer the first round is, which is not counted: the splitter's code is still being compiled. */
const WARM_UP_FACTOR = 3;

/** One contender that runs. */
interface TlsContender {
  readonly name: string;
  readonly process: Running;
  readonly target: TlsTarget;
}

/** What one contender costs under one load: microseconds of processor time for each unit of it, a figure a round. */
interface TlsCost {
  readonly name: string;
  readonly rounds: readonly number[];
}

/** What one load costs; `unit` is what is counted. The first contender is what the others are compared with. */
export interface TlsResult {
  readonly unit: string;
  readonly costs: readonly TlsCost[];
}

interface Load {
  readonly unit: string;
  /** OpenSSL 3.0, which an older nginx is built with, has no hybrid one; its connections would fail. */
  readonly group: string;
  /** Connections stay open. */
  readonly isKept: boolean;
  run(target: TlsTarget, seconds: number): Promise<number>;
}

async function manyHandshakes(target: TlsTarget, seconds: number, session?: Buffer): Promise<number> {
  const until = performance.now() + seconds * 1000;
  const counts = await Promise.all(Array.from({ length: CLIENTS }, () => handshakes(target, until, session)));
  return counts.reduce((sum, count) => sum + count, 0);
}

const LOADS: readonly Load[] = [
  {
    unit: 'Request on a kept connection',
    group: GROUP,
    isKept: true,
    run: (target, seconds) => keptRequests(target, seconds),
  },
  {
    unit: 'Request on a kept connection, plain text',
    group: GROUP,
    isKept: true,
    run: (target, seconds) => keptRequests(target, seconds, { isPlain: true }),
  },
  {
    unit: 'Request of 64 KiB on a kept connection',
    group: GROUP,
    isKept: true,
    run: (target, seconds) => keptRequests(target, seconds, { path: LARGE_PATH }),
  },
  {
    unit: 'New handshake',
    group: GROUP,
    isKept: false,
    run: (target, seconds) => manyHandshakes(target, seconds),
  },
  {
    unit: 'Resumed handshake',
    group: GROUP,
    isKept: false,
    run: async (target, seconds) => manyHandshakes(target, seconds, await sessionOf(target)),
  },
  {
    unit: `New handshake, ${HYBRID_GROUP}`,
    group: HYBRID_GROUP,
    isKept: false,
    run: (target, seconds) => manyHandshakes(target, seconds),
  },
];

/** A certificate that signs itself, with its key: ECDSA on P-256. */
function makeCertificate(folder: string): { certificate: string; key: string } {
  const [certificate, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  const name = ['-subj', '/CN=bench.example', '-addext', 'subjectAltName=DNS:bench.example'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', certificate, ...name], {
    stdio: 'ignore',
  });
  chmodSync(key, 0o644); // nginx's worker is another user
  return { certificate, key };
}

/** The port of each contender, and the files that they share. */
interface Place {
  readonly folder: string;
  readonly certificate: string;
  readonly key: string;
  readonly upstreams: readonly [number, number];
}

/** With TLS, and without. */
type Ports = readonly [number, number];

function startNginx([port, plainPort]: Ports, { folder, certificate, key, upstreams }: Place): Running {
  const ssl = `ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols ${PROTOCOL};`;
  const text = nginxText(readFileSync(join(here, 'rivals', 'nginx-tuned.conf'), 'utf8'))
    .replaceAll('@UPSTREAM_A@', String(upstreams[0]))
    .replaceAll('@UPSTREAM_B@', String(upstreams[1]))
    .replace('@LISTEN@', `${port} ssl`)
    .replace('location /', `listen 127.0.0.1:${plainPort} backlog=4096; location /`)
    .replace('location /', `${ssl} location /`);
  writeFileSync(join(folder, 'nginx.conf'), text);
  return new Running('nginx', 'measured', 'nginx', ['-p', folder, '-c', 'nginx.conf', '-g', 'daemon off;']);
}

function startSplitter(
  main: string,
  [port, plainPort]: Ports,
  { folder, certificate, key, upstreams }: Place,
): Running {
  const [first, second] = upstreams.map((upstream) => `http://127.0.0.1:${upstream}`);
  const variants = [
    { name: 'version_1a', share: '50%', upstream: first },
    { name: 'version_1b', share: '*', upstream: second },
  ];
  const document = {
    listen: [{ address: `127.0.0.1:${port}`, tls: { certificate, key } }, `127.0.0.1:${plainPort}`],
    admin: 'off',
    forwarded: 'keep', // as nginx does here
    splits: { appversion: { key: '$arg_token', variants } },
  };
  const file = join(folder, `splitter-${port}.json`);
  writeFileSync(file, JSON.stringify(document));
  const args = [...NODE_FLAGS, main, 'serve', '--config', file];
  return new Running('request-splitter', 'measured', process.execPath, args);
}

/** With the port of an upstream it passes everything on. */
function startBare(ports: Ports, { certificate, key }: Place, upstream?: number): Running {
  const words = [...ports, certificate, key, ...(upstream === undefined ? [] : [upstream])].map(String);
  const args = [...NODE_FLAGS, join(here, 'rivals', 'bare-tls.ts'), ...words];
  return new Running('bare node:tls', 'measured', process.execPath, args);
}

/** Waits until it answers, and makes sure that it negotiates what is measured. */
async function untilAnswering({ process, target }: TlsContender): Promise<void> {
  for (;;) {
    const isThere = await new Promise<boolean>((done) => {
      const socket = connect(target.port, '127.0.0.1', () => done(true)).on('error', () => done(false));
      socket.on('connect', () => socket.destroy());
    });
    if (isThere) return void (await sessionOf(target));
    if (process.hasEnded) throw new Error(`${process.name} ended: ${process.output}`);
    await new Promise((wait) => setTimeout(wait, 20));
  }
}

/** Starts nginx, the builds of the splitter and the bare servers. */
async function startAll({ upstreams }: Rig, builds: readonly Build[]): Promise<TlsContender[]> {
  const folder = scratchDirectory();
  const place: Place = { folder, ...makeCertificate(folder), upstreams };
  const ca = readFileSync(place.certificate);
  const starts: (readonly [string, (ports: Ports) => Running])[] = [
    [REFERENCE_NAME, (ports) => startNginx(ports, place)],
    ...builds.map(({ name, main }) => [name, (ports: Ports) => startSplitter(main, ports, place)] as const),
    ['Node.js without a proxy', (ports) => startBare(ports, place)],
    [BLIND_NAME, (ports) => startBare(ports, place, upstreams[0])],
  ];
  const ports = await freePorts(2 * starts.length);
  const contenders = starts.map(([name, start], at): TlsContender => {
    const [port, plainPort] = [ports[2 * at]!, ports[2 * at + 1]!];
    return { name, process: start([port, plainPort]), target: { port, plainPort, ca, group: GROUP } };
  });
  try {
    for (const contender of contenders) await untilAnswering(contender);
  } catch (error) {
    await Promise.all(contenders.map(({ process }) => process.stop()));
    throw error;
  }
  return contenders;
}

/** The contenders that take part: where one has no such group, or no such connections, it is left out. */
function takingPart(contenders: readonly TlsContender[], { group, isKept }: Load): TlsContender[] {
  return contenders
    .filter(({ name }) => isKept || name !== BLIND_NAME)
    .filter(({ name }) => group === GROUP || name !== REFERENCE_NAME)
    .map(({ target, ...rest }) => ({ ...rest, target: { ...target, group } }));
}

/** Microseconds of processor time for each unit of the load. */
async function costOf({ process, target }: TlsContender, load: Load, seconds: number): Promise<number> {
  const before = cpuMicroseconds(process.pid);
  const count = await load.run(target, seconds);
  return (cpuMicroseconds(process.pid) - before) / count;
}

/**
 * Runs all loads in turns, or those on kept connections with all contenders at the same time. A round before the first warms up.
 */
export async function measureTls(
  rig: Rig,
  { builds, isTogether }: Pick<Options, 'builds' | 'isTogether'>,
  rounds: number,
  seconds: number,
  progress: Progress,
): Promise<TlsResult[]> {
  const all = await startAll(rig, builds);
  try {
    const results: TlsResult[] = [];
    for (const load of isTogether ? LOADS.filter(({ isKept }) => isKept) : LOADS) {
      const contenders = takingPart(all, load);
      const costs = contenders.map(({ name }) => ({ name, rounds: [] as number[] }));
      for (let round = 0; round <= rounds; round++) {
        const turns = isTogether ? [contenders] : contenders.map((contender) => [contender]);
        for (const turn of turns) {
          // Those that share a core share its time.
          const length = round === 0 ? seconds * WARM_UP_FACTOR * turn.length : seconds;
          progress(`${load.unit}, round ${round} of ${rounds}: ${turn.map(({ name }) => name).join(', ')}`);
          const measured = await Promise.all(turn.map((contender) => costOf(contender, load, length)));
          if (round === 0) continue;
          for (const [at, contender] of turn.entries())
            costs[contenders.indexOf(contender)]!.rounds.push(measured[at]!);
        }
      }
      results.push({ unit: load.unit, costs });
    }
    return results;
  } finally {
    await Promise.all(all.map(({ process }) => process.stop()));
  }
}

/** A table for each load, and what was negotiated. */
export function tlsTables(results: readonly TlsResult[]): string {
  const head = ['', 'CPU µs', 'spread', 'least', 'a second of a core', 'ratio', 'of the rounds'];
  const tables = results.map(({ unit, costs }) => `${unit}\n\n${table(head, rowsOf(costs))}`);
  const negotiated = `${PROTOCOL}, ${CIPHER}, ECDSA P-256, key exchange ${GROUP} where no other is named`;
  return [...tables, negotiated].join('\n\n');
}

/** Ratios are those to the first contender, where that is nginx. */
function rowsOf(costs: readonly TlsCost[]): string[][] {
  const [reference] = costs;
  const isCompared = reference?.name === REFERENCE_NAME;
  return costs.map(({ name, rounds }, at) => {
    const { median, spread } = figure(rounds);
    const ratios = rounds.map((cost, round) => cost / reference!.rounds[round]!);
    const between = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
    return [
      name,
      median.toFixed(1),
      `±${(spread * 100).toFixed(0)}%`,
      Math.min(...rounds).toFixed(1),
      (1e6 / median).toFixed(0),
      ...(isCompared && at > 0 ? [`${figure(ratios).median.toFixed(2)}x`, between] : ['-', '-']),
    ];
  });
}
