// A real nginx as the oracle: one process in its own directory, on a free port, stopped by its pid. Knows how
// to write a split in nginx's configuration, not what any request means.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

/** A split in both worlds: the key text is the same, a share is "50%" or "*". */
export interface NginxSplit {
  readonly key: string;
  readonly shares: readonly string[];
}

/** A running nginx. */
export interface Nginx {
  readonly port: number;
  stop(): Promise<void>;
}

const PROGRAM = ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx'].find(
  (program) => spawnSync(program, ['-v'], { stdio: 'ignore' }).status === 0,
);

/** Version like "1.22.1", or null where no nginx is installed; then the reason has been printed. */
export const NGINX_VERSION: string | null = versionOf(PROGRAM);

function versionOf(program: string | undefined): string | null {
  if (program !== undefined) {
    const text = spawnSync(program, ['-v'], { encoding: 'utf8' }).stderr;
    return /nginx\/(\S+)/.exec(text)?.[1] ?? 'unknown';
  }
  console.warn('SKIPPED: no nginx on this machine (Debian: apt-get install nginx); golden data still runs');
  return null;
}

/** Name of the variant at `index`, alike in both worlds. */
export function variantName(index: number): string {
  return `v${index}`;
}

/** `split_clients` blocks that set $s0, $s1, … to the variants of these splits. */
export function splitClients(splits: readonly NginxSplit[]): string {
  const block = ({ key, shares }: NginxSplit, at: number) => {
    const parts = shares.map((share, index) => `  ${share} ${variantName(index)};`);
    return [`split_clients "${key}" $s${at} {`, ...parts, '}'].join('\n');
  };
  return splits.map(block).join('\n');
}

/** nginx that answers each request with the choices of all splits: "v0,v1,,v0" (an empty choice is nginx's hole). */
export function startNginxOfSplits(splits: readonly NginxSplit[]): Promise<Nginx> {
  const choices = splits.map((_, at) => `$s${at}`).join(',');
  return startNginx(splitClients(splits), `location / { return 200 "${choices}"; }`);
}

/**
 * nginx with this text in its `http` and in its one `server` block; PORT in the first stands for its port, for more
 * servers. Rejects with nginx's own words when it does not start.
 */
export async function startNginx(http: string, server: string): Promise<Nginx> {
  if (PROGRAM === undefined) throw new Error('no nginx on this machine');
  const directory = mkdtempSync(join(tmpdir(), 'splitter-nginx-'));
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    writeFileSync(join(directory, 'nginx.conf'), configuration(directory, port, http, server));
    const child = spawn(PROGRAM, ['-p', directory, '-e', 'error.log', '-c', 'nginx.conf'], {
      stdio: 'ignore',
    });
    // A test run that breaks off leaves no nginx behind.
    const killed = () => child.kill('SIGKILL');
    process.once('exit', killed);
    child.once('exit', () => process.off('exit', killed));
    const running = await Promise.race([accepts(port, child), once(child, 'exit').then(() => false)]);
    if (running) return { port, stop: () => stop(child, directory) };
    const log = join(directory, 'error.log');
    const said = existsSync(log) ? readFileSync(log, 'utf8') : '';
    // Between the look for a free port and nginx's bind somebody else may have taken it.
    if (attempt < 5 && said.includes('Address already in use')) continue;
    rmSync(directory, { recursive: true });
    throw new Error(`nginx did not start: ${said}`);
  }
}

/** nginx with this whole file, which listens on `port`. Rejects with nginx's own words when it does not start. */
export async function startNginxFile(text: string, port: number): Promise<Nginx> {
  if (PROGRAM === undefined) throw new Error('no nginx on this machine');
  const directory = mkdtempSync(join(tmpdir(), 'splitter-nginx-'));
  const scratch = scratchPaths(directory).join('\n');
  const whole = text.replace(/^http \{$/m, (line) => `${line}\n  access_log off;\n${scratch}`);
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log warn;\n${whole}`,
  );
  const child = spawn(PROGRAM, ['-p', directory, '-e', 'error.log', '-c', 'nginx.conf'], { stdio: 'ignore' });
  const killed = () => child.kill('SIGKILL');
  process.once('exit', killed);
  child.once('exit', () => process.off('exit', killed));
  const running = await Promise.race([accepts(port, child), once(child, 'exit').then(() => false)]);
  if (running) return { port, stop: () => stop(child, directory) };
  const said = readFileSync(join(directory, 'error.log'), 'utf8');
  rmSync(directory, { recursive: true });
  throw new Error(`nginx did not start: ${said}`);
}

const scratchPaths = (directory: string): string[] =>
  ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${join(directory, name)};`,
  );

function configuration(directory: string, port: number, http: string, server: string): string {
  const scratch = scratchPaths(directory);
  return [
    'daemon off;',
    'master_process off;',
    'pid nginx.pid;',
    'error_log error.log warn;',
    'events { worker_connections 512; }',
    'http {',
    '  access_log off;',
    '  default_type text/plain;',
    '  keepalive_requests 1000000;',
    '  variables_hash_max_size 4096;',
    '  large_client_header_buffers 8 32k;',
    ...scratch,
    http.replaceAll('PORT', String(port)),
    '  server {',
    `    listen 127.0.0.1:${port};`,
    server,
    '  }',
    '}',
    '',
  ].join('\n');
}

/** True once nginx takes a connection; never settles for a process that has gone. */
async function accepts(port: number, child: ChildProcess): Promise<boolean> {
  while (child.exitCode === null) {
    const socket = connect(port, '127.0.0.1');
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return true;
  }
  return new Promise(() => {});
}

async function stop(child: ChildProcess, directory: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  }
  rmSync(directory, { recursive: true });
}
