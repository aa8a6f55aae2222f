// The three proxies of the chaos suite, started alike: one upstream with these servers, the same time limits, retries as
// each offers them. A reload reads a changed file while traffic goes on.
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { accepting, ChildProcessRun, childrenOf, findProgram } from './processes.ts';

const SOURCE = join(import.meta.dirname, '../../src/main.ts');

export const PROXY_NAMES = ['request-splitter', 'nginx', 'HAProxy'] as const;
export type ProxyName = (typeof PROXY_NAMES)[number];

export interface ProxyOptions {
  readonly ports: readonly number[];
  readonly workers?: number;
  /** The main file of request-splitter; the sources' unless it is given. */
  readonly main?: string;
  /** Every request is logged to a device that refuses the bytes. */
  readonly logsToFullDevice?: boolean;
}

/** A proxy under test. */
export interface RunningProxy {
  readonly name: ProxyName;
  readonly port: number;
  readonly pid: number;
  /** Changes the configuration and has it read: `generation` makes each one different. */
  reload(generation: number): void;
  /** Asks for an orderly end; resolves when the process is gone. */
  drain(): Promise<unknown>;
  stop(): Promise<void>;
}

/** What keeps a proxy from being measured; null when nothing does. */
export function missing(name: ProxyName): string | null {
  if (name === 'request-splitter') return null;
  return findProgram(name.toLowerCase()) === undefined ? `${name} is not installed` : null;
}

export async function startProxy(name: ProxyName, options: ProxyOptions): Promise<RunningProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'chaos-'));
  const port = await freePort();
  const start = { 'request-splitter': startOurs, nginx: startNginx, HAProxy: startHaproxy }[name];
  const proxy = await start(folder, port, options);
  return {
    ...proxy,
    name,
    port,
    stop: async () => {
      await proxy.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

type Started = Omit<RunningProxy, 'name' | 'port'>;

async function startOurs(folder: string, port: number, options: ProxyOptions): Promise<Started> {
  const file = join(folder, 'splitter.yaml');
  const write = (generation: number) => writeFileSync(file, ourFile(port, options, generation));
  write(0);
  const output = options.logsToFullDevice ? openSync('/dev/full', 'w') : 'ignore';
  const run = new ChildProcessRun(
    process.execPath,
    [options.main ?? SOURCE, 'serve', '--config', file],
    output,
  );
  if (output !== 'ignore') closeSync(output);
  await accepting(port, run.ended);
  return {
    pid: run.pid,
    reload: (generation) => {
      write(generation);
      run.child.kill('SIGHUP');
    },
    drain: () => run.stop('SIGTERM'),
    stop: () => run.stop(),
  };
}

function ourFile(
  port: number,
  { ports, workers = 1, logsToFullDevice }: ProxyOptions,
  generation: number,
): string {
  const servers = ports.map((one) => `{ url: "http://127.0.0.1:${one}" }`);
  return [
    `listen: "127.0.0.1:${port}"`,
    'admin: off',
    `workers: ${workers}`,
    'drain: { grace: 1s, deadline: 20s }',
    ...(logsToFullDevice ? ['accessLog: { mode: all }'] : []),
    `upstreams: { u: { servers: [ ${servers.join(', ')} ], responseTimeout: ${30 + generation}s } }`,
    'routes: [ { upstream: u } ]',
    '',
  ].join('\n');
}

async function startNginx(folder: string, port: number, options: ProxyOptions): Promise<Started> {
  const file = join(folder, 'nginx.conf');
  const write = (generation: number) => writeFileSync(file, nginxFile(folder, port, options, generation));
  write(0);
  const run = new ChildProcessRun(findProgram('nginx')!, [
    '-p',
    folder,
    '-e',
    'error.log',
    '-c',
    'nginx.conf',
  ]);
  await accepting(port, run.ended);
  return {
    pid: run.pid,
    reload: (generation) => {
      write(generation);
      run.child.kill('SIGHUP');
    },
    drain: () => run.stop('SIGQUIT'),
    stop: async () => {
      // Workers that still drain after a reload are children as well.
      const workers = childrenOf(run.pid);
      await run.stop('SIGTERM');
      for (const pid of workers) killIfThere(pid);
    },
  };
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ESRCH') throw cause;
  }
}

function nginxFile(folder: string, port: number, options: ProxyOptions, generation: number): string {
  const { ports, workers = 1, logsToFullDevice } = options;
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off; worker_processes ${workers}; pid nginx.pid; error_log error.log crit;
events { worker_connections 8000; }
http {
  access_log ${logsToFullDevice ? '/dev/full' : 'off'};
  ${scratch.map((name) => `${name}_temp_path ${join(folder, name)};`).join(' ')}
  upstream u { ${ports.map((one) => `server 127.0.0.1:${one};`).join(' ')} keepalive 64; }
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    proxy_http_version 1.1; proxy_set_header Connection $connection_upgrade; proxy_set_header Upgrade $http_upgrade;
    proxy_connect_timeout 2s; proxy_read_timeout ${30 + generation}s;
    location / { proxy_pass http://u; }
  }
}
`;
}

async function startHaproxy(folder: string, port: number, options: ProxyOptions): Promise<Started> {
  const file = join(folder, 'haproxy.cfg');
  const write = (generation: number) => writeFileSync(file, haproxyFile(folder, port, options, generation));
  write(0);
  const run = new ChildProcessRun(findProgram('haproxy')!, ['-W', '-f', file]);
  await accepting(port, run.ended);
  return {
    pid: run.pid,
    reload: (generation) => {
      write(generation);
      run.child.kill('SIGUSR2');
    },
    drain: () => run.stop('SIGUSR1'),
    stop: () => run.stop('SIGTERM'),
  };
}

function haproxyFile(folder: string, port: number, { ports }: ProxyOptions, generation: number): string {
  const servers = ports.map((one, index) => `  server s${index} 127.0.0.1:${one} check inter 500`);
  return `global
  nbthread 1
  maxconn 8192
  stats socket ${join(folder, 'admin.sock')} expose-fd listeners
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server ${30 + generation}s
  timeout queue 5s
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
frontend f
  bind 127.0.0.1:${port}
  default_backend u
backend u
  balance roundrobin
${servers.join('\n')}
`;
}
