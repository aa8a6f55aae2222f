// Prints what an operator asks about the image: its size, and how long a container takes from the start of its process
// to the first answered request, with the memory limit and the restrictions of k8s/. Needs docker or podman with the
// image built. Usage: node scripts/image-facts.ts [IMAGE] [RUNS]
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as {
  version: string;
};
const image = process.argv[2] ?? `request-splitter:${version}`;
const runs = Number(process.argv[3] ?? 15);
const MIB = 1024 * 1024;

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

/** Any answer counts: without an upstream it is a 502, made by the splitter. */
const answers = (port: number) =>
  new Promise<boolean>((resolve) => {
    request({ host: '127.0.0.1', port, path: '/?token=1', agent: false }, (response) =>
      response.resume().on('end', () => resolve(true)),
    )
      .on('error', () => resolve(false))
      .end();
  });

const LIMITS = [
  '--memory=160m',
  '--read-only',
  '--cap-drop=ALL',
  '--security-opt=no-new-privileges',
  '--no-healthcheck',
];

/** Milliseconds from the process's start, as the engine saw it, to the first answer; and the memory it then holds. */
async function startOnce(): Promise<{ ms: number; mib: number }> {
  const port = await freePort();
  const settings = [
    '-e',
    'SPLIT=50% http://127.0.0.1:1; * http://127.0.0.1:2',
    `--publish=127.0.0.1:${port}:8000`,
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
    const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return { ms: answered - Date.parse(JSON.parse(startedAt!) as string), mib: Number(resident) / 1024 };
  } finally {
    run('kill', id);
    run('rm', '--force', id);
  }
}

const seen: { ms: number; mib: number }[] = [];
for (let count = 0; count < runs; count++) seen.push(await startOnce());
const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

console.log(`image           ${image}`);
console.log(
  `size            ${(Number(run('image', 'inspect', '--format', '{{.Size}}', image)) / MIB).toFixed(0)} MiB unpacked`,
);
console.log(
  `first answer    ${median(seen.map(({ ms }) => ms)).toFixed(0)} ms after the start of the process (median of ${runs})`,
);
console.log(`memory          ${median(seen.map(({ mib }) => mib)).toFixed(0)} MiB resident then`);
