// node bench/tls.ts [dist/main.js] [--rounds N] [--seconds S]: what TLS towards clients costs beside nginx: processor time
// for each new handshake, each resumed one, and each request on a kept connection, in turns on the same core. The clients
// are Node's and cost more than what they measure, so only processor time is compared. Writes no files.
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { parseArgs } from 'node:util';
import {
  cpuMicroseconds,
  findProgram,
  freePorts,
  pinSelf,
  Running,
  scratchDirectory,
  stopAll,
} from './processes.ts';
import { table } from './report.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' } },
});
const [ROUNDS, SECONDS] = [Number(values.rounds), Number(values.seconds)];
const CLIENTS = 16;
const REQUEST = 'GET /small?token=42 HTTP/1.1\r\nHost: bench.example\r\n';

const nginx = findProgram('nginx');
if (nginx === undefined) throw new Error('expected nginx to be installed, got none');
pinSelf();
const folder = scratchDirectory();
const [certificate, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
const subject = ['-subj', '/CN=bench.example', '-addext', 'subjectAltName=DNS:bench.example'];
const pair = [
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:prime256v1',
  '-nodes',
  '-keyout',
  key,
  '-out',
  certificate,
];
execFileSync('openssl', ['req', '-x509', ...pair, ...subject], { stdio: 'ignore' });
chmodSync(key, 0o644);
const ca = readFileSync(certificate);
const [a, b, ours, theirs] = (await freePorts(4)) as [number, number, number, number];

/** Opens a connection; `session` is resumed. */
function open(port: number, session: Buffer | undefined, onReady: (socket: TLSSocket) => void): TLSSocket {
  const options = { port, host: '127.0.0.1', ca, servername: 'bench.example', ...(session && { session }) };
  const socket = connect(options, () => onReady(socket));
  socket.on('error', (error) => {
    throw error;
  });
  return socket;
}

/** One connection for each request, until `until`; how many there were. */
async function handshakes(port: number, session: Buffer | undefined, until: number): Promise<number> {
  let count = 0;
  while (performance.now() < until) {
    await new Promise<void>((done) => {
      const socket = open(port, session, () => socket.write(`${REQUEST}Connection: close\r\n\r\n`));
      socket.resume().on('close', done);
      if (session !== undefined)
        socket.once('secureConnect', () => {
          if (!socket.isSessionReused()) throw new Error('expected a resumed session, got a new one');
        });
    });
    count++;
  }
  return count;
}

/** Requests on one connection, one after the other. */
function kept(port: number, until: number): Promise<number> {
  return new Promise((done) => {
    let count = 0;
    const ask = (socket: TLSSocket): void => void socket.write(`${REQUEST}\r\n`);
    const socket = open(port, undefined, ask);
    socket.on('data', () => {
      count++;
      if (performance.now() < until) ask(socket);
      else socket.destroy();
    });
    socket.on('close', () => done(count));
  });
}

/** A session of the server, which all clients resume. */
function sessionOf(port: number): Promise<Buffer> {
  return new Promise((done) => {
    const socket = open(port, undefined, () => socket.write(`${REQUEST}Connection: close\r\n\r\n`));
    socket.once('session', (session) => {
      socket.resume().on('close', () => done(session));
    });
  });
}

const upstream = new Running('upstream', 'upstream', process.execPath, [
  'bench/upstream.ts',
  String(a),
  String(b),
]);
await upstream.until('ready');
const tuned = readFileSync('bench/rivals/nginx-tuned.conf', 'utf8')
  .replaceAll('@UPSTREAM_A@', String(a))
  .replaceAll('@UPSTREAM_B@', String(b))
  .replace('@LISTEN@', `${theirs} ssl`)
  .replace('location /', `ssl_certificate ${certificate}; ssl_certificate_key ${key}; location /`);
writeFileSync(join(folder, 'nginx.conf'), tuned);
const variants = [a, b].map((port, at) => ({
  name: `v${at}`,
  share: at === 0 ? '50%' : '*',
  upstream: `http://127.0.0.1:${port}`,
}));
const listen = { address: `127.0.0.1:${ours}`, tls: { certificate, key } };
const document = { listen, admin: 'off', forwarded: 'keep', splits: { s: { variants } } };
writeFileSync(join(folder, 'splitter.json'), JSON.stringify(document));
const main = resolve(positionals[0] ?? 'dist/main.js');
const rivals = [
  {
    name: 'nginx, tuned',
    port: theirs,
    process: new Running('nginx', 'measured', nginx, ['-p', folder, '-c', 'nginx.conf', '-g', 'daemon off;']),
  },
  {
    name: 'request-splitter',
    port: ours,
    process: new Running('request-splitter', 'measured', process.execPath, [
      main,
      'serve',
      '--config',
      join(folder, 'splitter.json'),
    ]),
  },
];

const LOADS = {
  'new handshake': (port: number, until: number) => handshakes(port, undefined, until),
  'resumed handshake': async (port: number, until: number) => handshakes(port, await sessionOf(port), until),
  'request on a kept connection': kept,
} as const;

/** Waits until the port takes a connection. */
async function answers(port: number): Promise<void> {
  for (;;) {
    const isThere = await new Promise<boolean>((done) => {
      const socket = connect({ port, host: '127.0.0.1', ca, servername: 'bench.example' }, () => {
        socket.destroy();
        done(true);
      });
      socket.on('error', () => done(false));
    });
    if (isThere) return;
    await new Promise((wait) => setTimeout(wait, 50));
  }
}

const median = (values: number[]): number => values.sort((one, other) => one - other)[values.length >> 1]!;

try {
  for (const { port } of rivals) await answers(port);
  const rows: string[][] = [];
  for (const [name, load] of Object.entries(LOADS)) {
    const costs = rivals.map((): number[] => []);
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [at, { port, process: one }] of rivals.entries()) {
        const before = cpuMicroseconds(one.pid);
        const until = performance.now() + SECONDS * 1000;
        const counts = await Promise.all(Array.from({ length: CLIENTS }, () => load(port, until)));
        const count = counts.reduce((sum, each) => sum + each, 0);
        // The first round warms up.
        if (round > 0) costs[at]!.push((cpuMicroseconds(one.pid) - before) / count);
      }
    }
    const [reference, own] = costs.map(median) as [number, number];
    rows.push([name, reference.toFixed(1), own.toFixed(1), `${(own / reference).toFixed(2)}x`]);
  }
  console.log(table(['CPU µs', rivals[0]!.name, rivals[1]!.name, 'ratio'], rows));
} finally {
  await stopAll();
}
