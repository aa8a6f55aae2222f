// Prints facts about the image: its size, the time from the start of the container's process to the
// first answered request, its memory then, and the cost of a health check, with the memory limit and restrictions of
// k8s/. Needs docker or podman with the image built. Usage: node scripts/image-facts.ts [IMAGE] [RUNS]
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as {
  version: string;
};
const image = process.argv[2] ?? `request-splitter:${version}`;
const runs = Number(process.argv[3] ?? 15);
const MIB = 1024 * 1024;
const CHECKS = 20;

function works(engine: string): boolean {
  try {
    execFileSync(engine, ['info'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
const engine = ['docker', 'podman'].find(works);
if (engine === undefined) throw new Error('expected docker or podman to answer `info`, neither does');
const run = (...args: readonly string[]) =>
  execFileSync(engine, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();

/** A port that was free a moment ago. */
const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** True for an answer of the upstream. */
const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    request({ host: '127.0.0.1', port, path: '/?token=1', agent: false }, (response) =>
      response.resume().on('end', () => resolve(response.statusCode === 200)),
    )
      .on('error', () => resolve(false))
      .end();
  });

const LIMITS = [
  '--network=host',
  '--memory=160m',
  '--read-only',
  '--cap-drop=ALL',
  '--security-opt=no-new-privileges',
  '--no-healthcheck',
];

interface Start {
  /** Milliseconds from the start of the process, as the engine saw it, to the first answer. */
  readonly ms: number;
  /** MiB resident after that, and what of it is the process's own: the rest are pages of files, shared by all containers. */
  readonly resident: number;
  readonly own: number;
  /** Milliseconds of processor time of a health check in the container. */
  readonly checkMs: number;
}

/** Milliseconds of processor time that a health check takes; /proc/self/stat counts children in hundredths of a second. */
function checkCost(id: string): number {
  const program = `const { spawnSync } = process.getBuiltinModule('node:child_process');
    for (let run = 0; run < ${CHECKS}; run++) {
      const { status, stderr } = spawnSync('node', ['/app/main.js', 'healthcheck']);
      if (status !== 0) throw new Error(String(stderr));
    }
    const fields = process.getBuiltinModule('node:fs').readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ');
    console.log((Number(fields[13]) + Number(fields[14])) * 10 / ${CHECKS});`;
  return Number(run('exec', id, 'node', '-e', program));
}

async function startOnce(): Promise<Start> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const settings = [
    `--env=SPLIT=50% ${upstream}; * ${upstream}`,
    `--env=LISTEN=127.0.0.1:${port}`,
    `--env=ADMIN=127.0.0.1:${adminPort}`,
  ];
  const id = run('create', ...LIMITS, ...settings, image);
  try {
    const started = promisify(execFile)(engine!, ['start', id]);
    while (!(await answers(port))) await new Promise((resolve) => setTimeout(resolve, 1));
    const answered = Date.now();
    await started;
    const [startedAt, pid] = run('inspect', '--format', '{{json .State.StartedAt}} {{.State.Pid}}', id).split(
      ' ',
    );
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const mib = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
    const memory = { resident: mib('VmRSS'), own: mib('RssAnon') };
    const ms = answered - Date.parse(JSON.parse(startedAt!) as string);
    return { ms, ...memory, checkMs: checkCost(id) };
  } finally {
    run('kill', id);
    run('rm', '--force', id);
  }
}

/** Bytes of the image as an archive, compressed; about what a node pulls that has none of its layers. */
async function compressedBytes(): Promise<number> {
  const saved = spawn(engine!, ['save', image], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gzip = spawn('gzip', ['-6'], { stdio: [saved.stdout, 'pipe', 'inherit'] });
  let bytes = 0;
  for await (const part of gzip.stdout) bytes += (part as Buffer).length;
  return bytes;
}

const server = createHttpServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
await once(server, 'listening');
const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const seen: Start[] = [];
for (let count = 0; count < runs; count++) seen.push(await startOnce());
server.close();
server.closeAllConnections();
const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

const medianOf = (field: keyof Start) => median(seen.map((start) => start[field])).toFixed(0);
const megabytes = (bytes: number) => `${(bytes / MIB).toFixed(0)} MiB (${(bytes / 1e6).toFixed(1)} MB)`;
const unpacked = Number(run('image', 'inspect', '--format', '{{.Size}}', image));

console.log(`image           ${image}`);
console.log(
  `size            ${megabytes(unpacked)} unpacked, ${megabytes(await compressedBytes())} compressed with gzip -6`,
);
console.log(`first answer    ${medianOf('ms')} ms after the start of the process (median of ${runs})`);
console.log(
  `memory          ${medianOf('resident')} MiB resident then, ${medianOf('own')} MiB of it the process's own`,
);
console.log(`health check    ${medianOf('checkMs')} ms of processor time`);
