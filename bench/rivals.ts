// The contenders and how each is started: the splitter as built, and its rivals with the configurations in
// bench/rivals. Each listens on the port that it is given, splits by `token` in halves over the two upstreams,
// and works in one process or thread. If one is not installed, it says so.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { imageNodeFlags } from './image-flags.ts';
import { findProgram, scratchDirectory } from './processes.ts';

/** Ports and wishes of one start. */
interface Place {
  readonly listen: number;
  readonly admin: number;
  readonly upstreamA: number;
  readonly upstreamB: number;
  /** Directory for a CPU profile of the process, where it can make one; null = none. */
  readonly profileTo: string | null;
}

interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export interface Rival {
  readonly name: string;
  readonly title: string;
  /** Whether its admin port is asked for /metrics once a second while it is measured. */
  readonly isScraped: boolean;
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

/** A copy of a configuration file with its @NAMES@ filled in, in a directory of its own. */
function fillIn(file: string, place: Place): { path: string; directory: string } {
  const directory = scratchDirectory();
  const path = join(directory, basename(file));
  const secretFile = join(directory, 'secret');
  writeFileSync(secretFile, 'a secret of the bench, thirty-two bytes or more\n');
  const text = readFileSync(file, 'utf8')
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
  readonly env?: NodeJS.ProcessEnv;
  readonly isScraped?: boolean;
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
      const file = choice.config === undefined ? [] : ['--config', fillIn(choice.config, place).path];
      return {
        command: process.execPath,
        args: [...NODE_FLAGS, ...(choice.nodeFlags ?? []), ...profile, main, ...file],
        env: {
          // The image has no place for a compile cache that outlives a container; one of this machine would flatter it.
          NODE_DISABLE_COMPILE_CACHE: '1',
          ...(choice.config === undefined ? byEnvironment(place) : {}),
          ...choice.env,
        },
      };
    },
  };
}

const configured = (name: string, title: string, isScraped: boolean) =>
  splitter(name, title, { config: join(here, 'rivals', `${name}.yaml`), isScraped });

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
  isScraped: false,
  missing: () => (findProgram(executable) === undefined ? executable : undefined),
  version: () => programVersion(executable, '-v').replace(/^\S+ version:? /, ''),
  command: (place) => {
    const { path, directory } = fillIn(join(here, 'rivals', file), place);
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
  isScraped: false,
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

/** The rival against which ratios are given. */
export const REFERENCE = 'nginx-tuned';

/** In the order of the report. */
export const RIVALS: readonly Rival[] = [
  splitter('request-splitter', 'request-splitter'),
  configured('request-splitter-pipelining', 'request-splitter, pool.pipelining 16', false),
  configured('request-splitter-observed', 'request-splitter, fully observed', true),
  splitter('request-splitter-2-workers', 'request-splitter, 2 workers', { env: { WORKERS: '2' } }),
  nginx('nginx-tuned', 'nginx, tuned'),
  nginx('nginx-plain', 'nginx as in the README'),
  program('haproxy', 'HAProxy', 'haproxy.cfg', 'haproxy', (path) => ['-db', '-f', path]),
  inNode('node-undici', 'node:http + undici', 'undici'),
  inNode('httpxy', 'httpxy', 'httpxy'),
  inNode('reply-from', '@fastify/reply-from', 'fastify', '@fastify/reply-from'),
  inNode('http-proxy-3', 'http-proxy-3', 'http-proxy-3'),
  inNode('http-proxy', 'http-proxy', 'http-proxy'),
];
