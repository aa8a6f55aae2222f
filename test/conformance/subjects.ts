// The proxies under comparison: request-splitter in this process, nginx and HAProxy as processes, each with its own
// upstream.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Ambassador } from '../../src/ambassador.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { freePort } from '../support/free-port.ts';
import { get } from './case.ts';
import { exchange } from './exchange.ts';
import { LenientUpstream } from './lenient-upstream.ts';

/** A proxy under comparison, with the upstream behind it. */
export interface Subject {
  readonly name: string;
  readonly port: number;
  readonly upstream: LenientUpstream;
  stop(): Promise<void>;
}

export async function startOurs(): Promise<Subject> {
  const upstream = new LenientUpstream();
  const url = `http://127.0.0.1:${await upstream.listen()}`;
  const document = {
    listen: '127.0.0.1:0',
    admin: 'off',
    upstreams: { u: { url } },
    routes: [{ upstream: 'u' }],
  };
  const outcome = parseConfig(JSON.stringify(document), 'conformance.yaml');
  if (outcome.config === undefined) throw new Error(JSON.stringify(outcome.problems));
  const ambassador = new Ambassador(outcome.config, { log: pino({ level: 'silent' }) });
  await ambassador.start();
  const port = Number(/:(\d+)$/.exec(ambassador.listening[0]!)![1]);
  return {
    name: 'request-splitter',
    port,
    upstream,
    stop: async () => {
      await ambassador.stop();
      upstream.close();
    },
  };
}

async function startProgram(
  name: string,
  write: (directory: string, port: number, upstreamPort: number) => [command: string, ...args: string[]],
): Promise<Subject> {
  const upstream = new LenientUpstream();
  const upstreamPort = await upstream.listen();
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
  const [command, ...args] = write(directory, port, upstreamPort);
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  while (!(await answers(port))) {
    if (child.exitCode !== null) throw new Error(`${name} ended with exit code ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    name,
    port,
    upstream,
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
      upstream.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const answers = async (port: number) =>
  (await exchange(port, get('/warm'), (text) => text.includes('saw /warm'))).text !== '';

export function startNginx(): Promise<Subject> {
  const version = execFileSync('nginx', ['-v', '-e', 'stderr'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const name = `nginx ${/nginx\/([\d.]+)/.exec(String(version))?.[1] ?? versionOf('nginx', '-v')}`;
  return startProgram(name, (directory, port, upstreamPort) => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((kind) => `${kind}_temp_path ${directory}/${kind};`)
      .join(' ');
    writeFileSync(
      join(directory, 'nginx.conf'),
      `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log;
events { worker_connections 256; }
http {
  access_log off; ${temporary}
  upstream u { server 127.0.0.1:${upstreamPort}; keepalive 8; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
  }
}
`,
    );
    return ['nginx', '-c', join(directory, 'nginx.conf'), '-e', join(directory, 'error.log')];
  });
}

export function startHaproxy(): Promise<Subject> {
  return startProgram(`HAProxy ${versionOf('haproxy', '-v')}`, (directory, port, upstreamPort) => {
    const file = join(directory, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
  maxconn 256
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  http-reuse always
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server u 127.0.0.1:${upstreamPort}
`,
    );
    return ['haproxy', '-f', file, '-db', '-q'];
  });
}

/** Version that a program tells on either of its outputs. */
function versionOf(command: string, flag: string): string {
  const output = execFileSync('sh', ['-c', `${command} ${flag} 2>&1`]);
  return /(\d+\.\d+\.\d+)/.exec(String(output))?.[1] ?? 'of unknown version';
}
