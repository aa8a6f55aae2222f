// Who is measured and how each is started: the splitter as built, and its rivals with the configurations in
// bench/rivals. Every one listens on the port that it is given, splits by `token` in halves over the two upstreams,
// and runs one process or thread of work. One that is not installed says so.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, scratchDirectory } from './processes.ts';

interface Ports {
  readonly listen: number;
  readonly admin: number;
  readonly upstreamA: number;
  readonly upstreamB: number;
}

interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export interface Rival {
  readonly name: string;
  readonly title: string;
  /** What is not installed; undefined when it can run. */
  missing(): string | undefined;
  command(ports: Ports): Command;
}

const here = import.meta.dirname;
const builtSplitter = join(here, '..', 'dist', 'main.js');

const splitter = (name: string, title: string, env: NodeJS.ProcessEnv): Rival => ({
  name,
  title,
  missing: () => (existsSync(builtSplitter) ? undefined : 'dist/main.js (npm run build)'),
  command: (ports) => ({
    command: process.execPath,
    args: [builtSplitter],
    env: {
      LISTEN: `127.0.0.1:${ports.listen}`,
      ADMIN: `127.0.0.1:${ports.admin}`,
      SPLIT_KEY: '$arg_token',
      SPLIT: `50% http://127.0.0.1:${ports.upstreamA}; * http://127.0.0.1:${ports.upstreamB}`,
      ...env,
    },
  }),
});

/** A program with a configuration file whose @NAMES@ are filled in. */
const program = (
  name: string,
  title: string,
  file: string,
  executable: string,
  args: (path: string, directory: string) => string[],
): Rival => ({
  name,
  title,
  missing: () => (findProgram(executable) === undefined ? executable : undefined),
  command: (ports) => {
    const directory = scratchDirectory();
    const path = join(directory, file);
    const text = readFileSync(join(here, 'rivals', file), 'utf8')
      .replaceAll('@LISTEN@', String(ports.listen))
      .replaceAll('@UPSTREAM_A@', String(ports.upstreamA))
      .replaceAll('@UPSTREAM_B@', String(ports.upstreamB));
    writeFileSync(path, text);
    return { command: findProgram(executable) ?? executable, args: args(path, directory), env: {} };
  },
});

const nginx = (name: string, title: string) =>
  program(name, title, `${name}.conf`, 'nginx', (path, directory) => [
    '-p',
    directory,
    '-c',
    path,
    '-e',
    'stderr',
    '-g',
    'daemon off;',
  ]);

const inNode = (name: string, title: string, ...packages: string[]): Rival => ({
  name,
  title,
  missing: () => {
    const absent = packages.filter((one) => !existsSync(join(here, '..', 'node_modules', one)));
    return absent.length === 0 ? undefined : absent.join(', ');
  },
  command: (ports) => ({
    command: process.execPath,
    args: [join(here, 'rivals', `${name}.ts`)],
    env: {
      LISTEN_PORT: String(ports.listen),
      UPSTREAM_A: String(ports.upstreamA),
      UPSTREAM_B: String(ports.upstreamB),
    },
  }),
});

/** The rival against which ratios are given. */
export const REFERENCE = 'nginx-tuned';

/** In the order of the report. */
export const RIVALS: readonly Rival[] = [
  splitter('request-splitter', 'request-splitter', {}),
  nginx('nginx-tuned', 'nginx, tuned'),
  nginx('nginx-plain', 'nginx as in the README'),
  program('haproxy', 'HAProxy', 'haproxy.cfg', 'haproxy', (path) => ['-db', '-f', path]),
  inNode('node-undici', 'node:http + undici', 'undici'),
  inNode('httpxy', 'httpxy', 'httpxy'),
  inNode('reply-from', '@fastify/reply-from', 'fastify', '@fastify/reply-from'),
  inNode('http-proxy-3', 'http-proxy-3', 'http-proxy-3'),
  inNode('http-proxy', 'http-proxy', 'http-proxy'),
];
