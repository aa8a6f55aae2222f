// Prints how much memory clients of the admin port can make the built program hold, and how long a probe waits meanwhile.
// Each attack starts a new process, warms it with ordinary requests, and then runs for some seconds from
// another process. `--bare` attacks a plain `node:net` server that only reads, to show the cost of Node itself.
// Needs Linux and `npm run build`.
// Usage: node scripts/admin-memory.ts [ATTACK…] [--seconds 20] [--connections 500] [--bare] [--flags="NODE FLAGS"]
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ATTACKS, attack } from '../test/support/admin-attacks.ts';

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '20' },
    connections: { type: 'string', default: '500' },
    bare: { type: 'boolean', default: false },
    flags: { type: 'string', default: '' },
    main: { type: 'string', default: join(import.meta.dirname, '..', 'dist', 'main.js') },
    /** Runs one attack on this port; the script starts itself with it. */
    port: { type: 'string' },
  },
});
const seconds = Number(options.seconds);
const connectionCount = Number(options.connections);
const pause = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
/** A server that holds nothing: what connections alone cost in Node. */
const BARE = `
  const server = require('node:net').createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.end());
    socket.on('data', (bytes) => {
      if (bytes.includes('/healthz')) socket.end('HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n');
    });
  });
  server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ msg: 'serving', admin: 'http://127.0.0.1:' + server.address().port })));
`;

async function start(): Promise<{ child: ChildProcess; port: number }> {
  const flags = options.flags.split(' ').filter(Boolean);
  const words = options.bare
    ? ['-e', BARE]
    : [options.main, 'serve', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const child = spawn(process.execPath, [...flags, ...words], {
    env: { PATH: process.env.PATH, SPLIT: '50% http://127.0.0.1:9; * http://127.0.0.1:9' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  for await (const text of child.stdout!) {
    output += text;
    const line = output.split('\n').find((one) => one.includes('"msg":"serving"'));
    if (line !== undefined) {
      child.stdout!.resume();
      return { child, port: Number(new URL((JSON.parse(line) as { admin: string }).admin).port) };
    }
  }
  throw new Error(`ended: ${output}`);
}

/** Milliseconds until a probe on a new connection is answered. */
function probe(port: number): Promise<number> {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    let text = '';
    const socket = connect(port, '127.0.0.1');
    const fail = (): void => resolve(Number.POSITIVE_INFINITY);
    socket.on('error', fail);
    socket.on('close', fail);
    socket.on('connect', () =>
      socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
    );
    socket.on('data', (bytes) => {
      text += bytes;
      if (text.startsWith('HTTP/1.1 200')) resolve(performance.now() - startedAt);
    });
  });
}

/** MiB by /proc: all that is resident, and what is not of a file. */
function memoryOf(pid: number): { resident: number; anonymous: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)![1]) / 1024;
  return { resident: mebibytes('VmRSS'), anonymous: mebibytes('RssAnon') };
}

async function warm(port: number): Promise<void> {
  if (options.bare) {
    for (let count = 0; count < 400; count += 1) await probe(port);
    return;
  }
  for (let round = 0; round < 60; round += 1) {
    for (const path of [
      '/healthz',
      '/readyz',
      '/metrics',
      '/status',
      '/status?registers',
      '/config',
      '/history',
    ]) {
      await (await fetch(`http://127.0.0.1:${port}${path}`)).arrayBuffer();
    }
  }
  await pause(6000);
}

async function measure(name: string): Promise<void> {
  const { child, port } = await start();
  await pause(500);
  const cold = memoryOf(child.pid!);
  await warm(port);
  const before = memoryOf(child.pid!);
  const attacker = spawn(
    process.execPath,
    [
      import.meta.filename,
      name,
      '--port',
      String(port),
      '--seconds',
      String(seconds),
      '--connections',
      String(connectionCount),
    ],
    { stdio: 'inherit' },
  );
  const ended = once(attacker, 'exit');
  const peak = { resident: 0, anonymous: 0 };
  const waits: number[] = [];
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    const now = memoryOf(child.pid!);
    peak.resident = Math.max(peak.resident, now.resident);
    peak.anonymous = Math.max(peak.anonymous, now.anonymous);
    waits.push(await Promise.race([probe(port), pause(5000).then(() => Number.POSITIVE_INFINITY)]));
    await pause(50);
  }
  attacker.kill('SIGKILL');
  await ended;
  await pause(5000);
  const after = memoryOf(child.pid!);
  child.kill('SIGKILL');
  waits.sort((a, b) => a - b);
  const grown = (value: number) => value.toFixed(1).padStart(6);
  console.log(
    `${name.padEnd(26)} cold ${grown(cold.anonymous)} warm ${grown(before.anonymous)} anonymous +${grown(peak.anonymous - before.anonymous)} resident +${grown(peak.resident - before.resident)}` +
      ` afterwards +${grown(after.anonymous - before.anonymous)}  /healthz longest ${waits.at(-1)!.toFixed(0)} ms, median ${waits[waits.length >> 1]!.toFixed(1)} ms`,
  );
}

if (options.port !== undefined) {
  attack(positionals[0]!, Number(options.port), connectionCount);
} else {
  for (const name of positionals.length === 0 ? Object.keys(ATTACKS) : positionals) await measure(name);
}
