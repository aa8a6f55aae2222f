// The contenders and how each is started: the splitter as built, and its rivals with the configurations in
// bench/rivals. Each listens on the port that it is given, splits by `token` in halves over the two upstreams,
// and works in one process or thread. If one is not installed, it says so.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { imageNodeFlags } from './image-flags.ts';
import { findProgram, scratchDirectory } from './processes.ts';
import { routeName } from './scenarios.ts';

/** Ports and wishes of one start. */
interface Place {
  readonly listen: number;
  readonly admin: number;
  readonly upstreamA: number;
  readonly upstreamB: number;
  /** Directory for a CPU profile of the process, where it can make one; null = none. */
  readonly profileTo: string | null;
  /** File for what bench/inside.js records in a process of the splitter; null = it is not loaded. */
  readonly recordTo: string | null;
}

interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** The configuration file that was written for this start. */
  readonly config?: string;
}

export interface Rival {
  readonly name: string;
  readonly title: string;
  /** Whether its admin port is asked for /metrics once a second while it is measured. */
  readonly isScraped: boolean;
  /** Whether its stdout is a pipe that another process empties on the load generator's core. */
  readonly isPiped: boolean;
  /** What is not installed; undefined when it can run. */
  missing(): string | undefined;
  /** Only asked of one that is installed. */
  version(): string;
  command(place: Place): Command;
}

const here = import.meta.dirname;
const root = join(here, '..');
const builtSplitter = join(root, 'dist', 'main.js');

/** How the image starts node. */
export const NODE_FLAGS: readonly string[] = imageNodeFlags(readFileSync(join(root, 'Dockerfile'), 'utf8'));

const packageVersion = (path: string) =>
  (JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as { version: string }).version;

/** First line of what a program says about its version. */
export function programVersion(program: string, flag: string): string {
  try {
    const text = execFileSync('/bin/sh', ['-c', `${program} ${flag} 2>&1 || true`], { encoding: 'utf8' });
    return (text.split('\n')[0] ?? '').trim();
  } catch {
    return 'unknown';
  }
}

/** A copy of a configuration text with its @NAMES@ filled in, in a directory of its own. */
function fillIn(name: string, template: string, place: Place): { path: string; directory: string } {
  const directory = scratchDirectory();
  const path = join(directory, name);
  const secretFile = join(directory, 'secret');
  writeFileSync(secretFile, 'a secret of the bench, thirty-two bytes or more\n');
  const text = template
    .replaceAll('@LISTEN@', String(place.listen))
    .replaceAll('@ADMIN@', String(place.admin))
    .replaceAll('@UPSTREAM_A@', String(place.upstreamA))
    .replaceAll('@UPSTREAM_B@', String(place.upstreamB))
    .replaceAll('@SECRET_FILE@', secretFile);
  writeFileSync(path, text);
  return { path, directory };
}

/** What makes one build and configuration of the splitter differ from the usual one. */
interface SplitterChoice {
  /** The entry of another build. */
  readonly main?: string;
  /** Flags of node after those of the image; a later one counts. */
  readonly nodeFlags?: readonly string[];
  /** A configuration file with @NAMES@ in place of the short form by environment. */
  readonly config?: string;
  /** The same as text, made when it is needed. */
  readonly text?: () => string;
  readonly env?: NodeJS.ProcessEnv;
  readonly isScraped?: boolean;
  readonly isPiped?: boolean;
}

/** The splitter, started as its image starts it. */
export function splitter(name: string, title: string, choice: SplitterChoice = {}): Rival {
  const main = choice.main ?? builtSplitter;
  const byEnvironment = (place: Place): NodeJS.ProcessEnv => ({
    LISTEN: `127.0.0.1:${place.listen}`,
    ADMIN: `127.0.0.1:${place.admin}`,
    SPLIT_KEY: '$arg_token',
    SPLIT: `50% http://127.0.0.1:${place.upstreamA}; * http://127.0.0.1:${place.upstreamB}`,
  });
  return {
    name,
    title,
    isScraped: choice.isScraped ?? false,
    isPiped: choice.isPiped ?? false,
    missing: () => (existsSync(main) ? undefined : `${main} (npm run build)`),
    version: () => packageVersion(root),
    command: (place) => {
      const profile =
        place.profileTo === null
          ? []
          : [
              '--cpu-prof',
              `--cpu-prof-dir=${place.profileTo}`,
              `--cpu-prof-name=${name}-${Date.now()}.cpuprofile`,
            ];
      const text =
        choice.text?.() ?? (choice.config === undefined ? undefined : readFileSync(choice.config, 'utf8'));
      const file =
        text === undefined ? undefined : fillIn(basename(choice.config ?? `${name}.yaml`), text, place);
      return {
        command: process.execPath,
        args: [
          ...NODE_FLAGS,
          ...(choice.nodeFlags ?? []),
          ...profile,
          ...(place.recordTo === null ? [] : ['--import', join(here, 'inside.js')]),
          main,
          ...(file === undefined ? [] : ['--config', file.path]),
        ],
        env: {
          // The image has no place for a compile cache that outlives a container; one of this machine would flatter it.
          NODE_DISABLE_COMPILE_CACHE: '1',
          ...(file === undefined ? byEnvironment(place) : {}),
          ...(place.recordTo === null ? {} : { BENCH_RECORD_TO: place.recordTo }),
          ...choice.env,
        },
        ...(file === undefined ? {} : { config: file.path }),
      };
    },
  };
}

const configured = (name: string, title: string, more: SplitterChoice = {}) =>
  splitter(name, title, { config: join(here, 'rivals', `${name}.yaml`), ...more });

/** A program with a configuration file whose @NAMES@ are filled in. */
const program = (
  name: string,
  title: string,
  file: string,
  executable: string,
  args: (path: string, directory: string) => string[],
  fill: (text: string) => string = (text) => text,
): Rival => ({
  name,
  title,
  isScraped: false,
  isPiped: false,
  missing: () => (findProgram(executable) === undefined ? executable : undefined),
  version: () => programVersion(executable, '-v').replace(/^\S+ version:? /, ''),
  command: (place) => {
    const text = fill(readFileSync(join(here, 'rivals', file), 'utf8'));
    const { path, directory } = fillIn(file, text, place);
    return { command: findProgram(executable) ?? executable, args: args(path, directory), env: {} };
  },
});

/** What nginx-tuned.conf leaves open. */
interface NginxChoice {
  readonly log?: string;
  readonly id?: string;
  readonly requestBuffering?: 'on' | 'off';
}

/** The text of nginx-tuned.conf with its choices made; the ports are still to be filled in. */
export const nginxText = (template: string, choice: NginxChoice = {}): string =>
  template
    .replace('@LOG@', choice.log ?? 'access_log off;')
    .replace('@ID@', choice.id ?? '')
    .replace('@REQUEST_BUFFERING@', choice.requestBuffering ?? 'on');

const nginx = (name: string, title: string, file: string, choice: NginxChoice = {}) =>
  program(
    name,
    title,
    file,
    'nginx',
    (path, directory) => ['-p', directory, '-c', path, '-e', 'stderr', '-g', 'daemon off;'],
    (text) => nginxText(text, choice),
  );

/** The members of the splitter's line, from nginx's variables. It has none for the reason and the hash of a key. */
const NGINX_FIELDS = [
  '"level":"info","time":"$time_iso8601","requestId":"$request_id","client":"$remote_addr","method":"$request_method"',
  '"path":"$uri","status":$status,"split":"appversion","variant":"$appversion","upstream":"$proxy_host"',
  '"address":"$upstream_addr","connectMs":"$upstream_connect_time","firstByteMs":"$upstream_header_time"',
  '"totalMs":$request_time,"receivedBytes":$request_length,"sentBytes":$bytes_sent,"msg":"exchange"',
];
const NGINX_LOG_FORMAT = `log_format json escape=json '{${NGINX_FIELDS.join(',')}}';`;
const ID = 'proxy_set_header X-Request-Id $request_id;';

/** The same nginx with such a line for each request, and the id passed on. */
const nginxLogged = (name: string, title: string, log: string): Rival => ({
  ...nginx(name, title, 'nginx-tuned.conf', {
    log: `${NGINX_LOG_FORMAT} access_log /dev/stdout json${log};`,
    id: ID,
  }),
  isPiped: true,
});

const inNode = (name: string, title: string, ...packages: string[]): Rival => ({
  name,
  title,
  isScraped: false,
  isPiped: false,
  missing: () => {
    const absent = packages.filter((one) => !existsSync(join(root, 'node_modules', one)));
    return absent.length === 0 ? undefined : absent.join(', ');
  },
  version: () =>
    packages.map((one) => `${one} ${packageVersion(join(root, 'node_modules', one))}`).join(', '),
  command: (place) => ({
    command: process.execPath,
    args: [join(here, 'rivals', `${name}.ts`)],
    env: {
      LISTEN_PORT: String(place.listen),
      UPSTREAM_A: String(place.upstreamA),
      UPSTREAM_B: String(place.upstreamB),
    },
  }),
});

/** A configuration with so many variants in equal shares over the two upstreams, and so many routes by path. */
export function largeConfig(variants: number, routes: number): string {
  const share = (10_000 / variants / 100).toFixed(2);
  const lines = [
    'listen: "127.0.0.1:@LISTEN@"',
    'admin: "127.0.0.1:@ADMIN@"',
    'upstreams:',
    '  a: { url: "http://127.0.0.1:@UPSTREAM_A@" }',
    '  b: { url: "http://127.0.0.1:@UPSTREAM_B@" }',
    'splits:',
    '  appversion:',
    '    key: $arg_token',
    '    variants:',
  ];
  for (let at = 1; at <= variants; at += 1) {
    const part = at === variants ? '"*"' : `${share}%`;
    lines.push(`      - { name: v${at}, share: ${part}, upstream: ${at % 2 === 0 ? 'b' : 'a'} }`);
  }
  lines.push('routes:', '  - { split: appversion }');
  for (let at = 0; at < routes - 1; at += 1) {
    lines.push(`  - { path: /small/${routeName(at)}/, split: appversion }`);
  }
  return `${lines.join('\n')}\n`;
}

/** The rival against which ratios are given. */
export const REFERENCE = 'nginx-tuned';

/** The splitter with many variants and routes: how it starts, and how it takes a change. */
export const LARGE = splitter('request-splitter-large', 'request-splitter, 1,000 variants, 10,000 routes', {
  text: () => largeConfig(1000, 10_000),
});
/** The splitter that takes more connections than its default allows. */
export const OPEN = splitter('request-splitter-open', 'request-splitter, 10,000 connections, 1,000 busy', {
  text: () => `limits: { connections: 20000 }\n${largeConfig(2, 1)}`,
});

/** In the order of the report. */
export const RIVALS: readonly Rival[] = [
  splitter('request-splitter', 'request-splitter'),
  configured('request-splitter-pipelining', 'request-splitter, pool.pipelining 16'),
  configured('request-splitter-logged', 'request-splitter, everything logged', { isPiped: true }),
  configured('request-splitter-observed', 'request-splitter, fully observed', { isScraped: true }),
  splitter('request-splitter-2-workers', 'request-splitter, 2 workers', { env: { WORKERS: '2' } }),
  splitter('request-splitter-1-route', 'request-splitter, 1 route', { text: () => largeConfig(2, 1) }),
  splitter('request-splitter-1000-routes', 'request-splitter, 1,000 routes', {
    text: () => largeConfig(2, 1001),
  }),
  nginx('nginx-tuned', 'nginx, tuned', 'nginx-tuned.conf'),
  nginx('nginx-streaming', 'nginx, tuned, requests unbuffered', 'nginx-tuned.conf', {
    requestBuffering: 'off',
  }),
  nginxLogged('nginx-logged', 'nginx, everything logged', ''),
  nginxLogged('nginx-logged-buffered', 'nginx, everything logged, lines in a buffer', ' buffer=64k flush=1s'),
  nginx('nginx-plain', 'nginx as in the README', 'nginx-plain.conf'),
  program('haproxy', 'HAProxy', 'haproxy.cfg', 'haproxy', (path) => ['-db', '-f', path]),
  inNode('node-undici', 'node:http + undici', 'undici'),
  inNode('httpxy', 'httpxy', 'httpxy'),
  inNode('reply-from', '@fastify/reply-from', 'fastify', '@fastify/reply-from'),
  inNode('http-proxy-3', 'http-proxy-3', 'http-proxy-3'),
  inNode('http-proxy', 'http-proxy', 'http-proxy'),
];
