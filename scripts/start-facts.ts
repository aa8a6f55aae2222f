// Prints the cost of a start of the built program: the time from the start of its process to the first answered request,
// and its memory after the first request and the first probes. It runs dist/main.js with the flags and variables of
// the Dockerfile's image, configured by environment variables. Needs Linux and `npm run build`.
// Usage: node scripts/start-facts.ts [RUNS] [--main FILE] [--metrics] [--flags="NODE FLAGS"] [--compile-cache FOLDER]
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');
const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    main: { type: 'string', default: join(root, 'dist', 'main.js') },
    metrics: { type: 'boolean', default: false },
    flags: { type: 'string' },
    'compile-cache': { type: 'string' },
  },
});
const runs = Number(positionals[0] ?? 21);
/** Seconds of probes, one of each a second as a kubelet sends them, after which the memory is looked at again. */
const PROBED_SECONDS = 3;

/** What the image runs: the flags before the script, and the variables of the process. */
function imageStart(): { flags: readonly string[]; variables: Record<string, string> } {
  const dockerfile = readFileSync(join(root, 'Dockerfile'), 'utf8');
  const entry = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(dockerfile)![1]!) as string[];
  const variables = [...dockerfile.matchAll(/^ENV (\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]);
  return { flags: entry.slice(1, -1), variables: Object.fromEntries(variables) as Record<string, string> };
}
const { flags: imageFlags, variables } = imageStart();
const flags = options.flags === undefined ? imageFlags : options.flags.split(' ').filter(Boolean);

const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

async function listen(): Promise<{ port: number; close(): void }> {
  const server = createServer((socket) => {
    socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'));
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const { port, close } = await listen();
  close();
  return port;
}

/** The status of one GET on a connection of its own; 0 while nobody listens. */
const get = (port: number, path: string) =>
  new Promise<number>((done) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    });
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => done(0));
    socket.on('end', () => done(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0)));
  });

async function expectAnswer(port: number, path: string): Promise<void> {
  const status = await get(port, path);
  if (status !== 200) throw new Error(`${path}: expected status 200, got ${status}`);
}

interface Memory {
  /** Resident, in KiB; of it what is the process's own, and what are pages of files, that processes may share. */
  readonly all: number;
  readonly own: number;
  readonly files: number;
}

function memoryOf({ pid }: ChildProcess): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)![1]);
  return { all: field('VmRSS'), own: field('RssAnon'), files: field('RssFile') + field('RssShmem') };
}

/** CPU time of all of its threads so far, in ms. */
function cpuOf({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

interface Start {
  readonly answerMs: number;
  readonly cpuMs: number;
  readonly first: Memory;
  readonly probed: Memory;
}

async function startOnce(upstream: number): Promise<Start> {
  const [data, admin] = [await freePort(), await freePort()];
  const environment = {
    ...variables,
    // The image has no place for a compile cache that outlives a container; one of this machine would flatter the figure.
    ...(options['compile-cache'] === undefined
      ? { NODE_DISABLE_COMPILE_CACHE: '1' }
      : { NODE_COMPILE_CACHE: resolve(options['compile-cache']) }),
    LISTEN: `127.0.0.1:${data}`,
    ADMIN: `127.0.0.1:${admin}`,
    SPLIT: `50% http://127.0.0.1:${upstream}; * http://localhost:${upstream}`,
  };
  const started = performance.now();
  const child = spawn(process.execPath, [...flags, resolve(options.main)], {
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.resume();
  try {
    // The first variant, by its hash of 0: whatever the other one's name costs to look up is not in the figure.
    while ((await get(data, '/?token=xbaaErt4')) !== 200) {
      if (child.exitCode !== null) throw new Error(`expected it to serve, it ended with ${child.exitCode}`);
      await pause(1);
    }
    const answerMs = performance.now() - started;
    const cpuMs = cpuOf(child);
    await expectAnswer(admin, '/readyz');
    await expectAnswer(admin, '/healthz');
    const first = memoryOf(child);
    for (let second = 0; second < PROBED_SECONDS; second++) {
      await pause(1000);
      await expectAnswer(admin, '/readyz');
      await expectAnswer(admin, '/healthz');
      if (options.metrics) await expectAnswer(admin, '/metrics');
    }
    return { answerMs, cpuMs, first, probed: memoryOf(child) };
  } finally {
    // The cache is written at the end of a process that ends by itself.
    child.kill(options['compile-cache'] === undefined ? 'SIGKILL' : 'SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  }
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

const upstream = await listen();
const starts: Start[] = [];
for (let count = 0; count < runs; count++) starts.push(await startOnce(upstream.port));
upstream.close();

const line = (name: string, values: readonly number[], unit: string) =>
  console.log(
    `${name.padEnd(32)}${String(Math.round(median(values))).padStart(7)} ${unit.padEnd(4)}(${Math.round(Math.min(...values))} to ${Math.round(Math.max(...values))})`,
  );
console.log(`node ${process.version} ${flags.join(' ')}, median of ${runs} starts (least to most)`);
line(
  'start to first answer',
  starts.map(({ answerMs }) => answerMs),
  'ms',
);
line(
  'CPU time until then',
  starts.map(({ cpuMs }) => cpuMs),
  'ms',
);
for (const [when, of] of [
  ['first probes', (start: Start) => start.first],
  [`${PROBED_SECONDS} s of probes${options.metrics ? ' and scrapes' : ''}`, (start: Start) => start.probed],
] as const) {
  line(
    `resident after ${when}`,
    starts.map((start) => of(start).all),
    'KiB',
  );
  line(
    '  its own',
    starts.map((start) => of(start).own),
    'KiB',
  );
  line(
    '  pages of files',
    starts.map((start) => of(start).files),
    'KiB',
  );
}
process.exit(0);
