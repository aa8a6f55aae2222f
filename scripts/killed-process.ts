// Prints how long a process that gets SIGKILL keeps its connections open: an nginx worker, Node servers of several sizes, and
// the built program. The kernel frees the memory of a process before it closes its sockets. Needs Linux, nginx, `npm run build`.
// Usage: node scripts/killed-process.ts [--times 12]
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { accepting, childrenOf, findProgram } from '../test/chaos/processes.ts';
import { freePort } from '../test/support/free-port.ts';

const { values } = parseArgs({ options: { times: { type: 'string', default: '12' } } });
const times = Number(values.times);
const MAIN = join(import.meta.dirname, '..', 'dist', 'main.js');
const SERVER = `globalThis.held = Buffer.alloc(process.env.MIB * 1048576, 1);
  require('node:http').createServer((_, response) => response.end('x')).listen(process.env.PORT, '127.0.0.1');`;

/** Starts a server on the port. */
type Start = (port: number, folder: string) => ChildProcess;

const run = (command: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess =>
  spawn(command, args, { env: { PATH: process.env.PATH, ...env }, stdio: 'ignore' });

const node =
  (mib: number): Start =>
  (port) =>
    run(process.execPath, ['-e', SERVER], { PORT: String(port), MIB: String(mib) });

const nginx: Start = (port, folder) => {
  const file = join(folder, 'nginx.conf');
  const http = `http { access_log off; server { listen 127.0.0.1:${port}; return 200 x; } }`;
  const log = join(folder, 'error.log');
  writeFileSync(
    file,
    `pid ${folder}/pid; error_log ${log}; daemon off; worker_processes 1; events {} ${http}`,
  );
  return run(findProgram('nginx') ?? 'nginx', ['-c', file, '-p', folder, '-e', log]);
};

const splitter: Start = (port) =>
  run(process.execPath, [MAIN, 'serve', '--listen', `127.0.0.1:${port}`, '--admin', 'off'], {
    SPLIT: '50% http://127.0.0.1:9; * http://127.0.0.1:9',
  });

/** Time from SIGKILL to the end of a connection, in milliseconds. */
async function closeTime(start: Start): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'killed-'));
  const port = await freePort();
  const parent = start(port, folder);
  const ended = once(parent, 'exit');
  try {
    await accepting(port, ended);
    const client = connect(port, '127.0.0.1');
    client.on('error', () => client.destroy());
    client.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await once(client, 'data');
    const closed = once(client.resume(), 'close');
    const from = performance.now();
    // A worker, where there is one; node itself has no child.
    for (const pid of childrenOf(parent.pid!).concat(start === nginx ? [] : parent.pid!))
      process.kill(pid, 'SIGKILL');
    await closed;
    return performance.now() - from;
  } finally {
    parent.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

const servers: readonly (readonly [name: string, start: Start])[] = [
  ['an nginx worker', nginx],
  ['a bare Node server', node(0)],
  ['with 64 MiB', node(64)],
  ['with 256 MiB', node(256)],
  ['the built program', splitter],
];
for (const [name, start] of servers) {
  const all: number[] = [];
  for (let i = 0; i < times; i++) all.push(await closeTime(start));
  all.sort((a, b) => a - b);
  const shown = [all[0]!, all[Math.floor(all.length / 2)]!, all.at(-1)!].map((ms) => ms.toFixed(1));
  console.log(`${name.padEnd(20)} shortest ${shown[0]} ms, median ${shown[1]} ms, longest ${shown[2]} ms`);
}
