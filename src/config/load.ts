// Finds and reads the configuration that flags and environment ask for: the Config, or every problem. The only file of
// this room that touches the file system; config/parse knows what a text means.

import { existsSync, globSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  kindOf,
  openWithoutWaiting,
  readRegularFileSync,
  SECRET_BYTES_MAX,
  tooLongText,
} from '../regular-file.ts';
import {
  configFromSettings,
  emptyVariableNotes,
  type GivenSetting,
  givenSettings,
  type Setting,
} from './env.ts';
import type { ConfigResult } from './link.ts';
import type { ReadInclude } from './nginx/syntax.ts';
import type * as nginx from './nginx/translate.ts';
import { withPatterns } from './patterns.ts';
import type { Problem } from './problem.ts';
import type { ReadSecret } from './secrets.ts';
import { nginxBlockAt, TEXT_BYTES_MAX, tooLarge } from './text.ts';

/** Read when nothing names a file; a ConfigMap is mounted at its directory. */
export const DEFAULT_FILE = '/etc/request-splitter/splitter.yaml';
/** Run when nothing else is configured: the file of the nginx container whose place this one takes. */
const NGINX_FILE = '/etc/nginx/nginx.conf';

/** Problems shown of an nginx.conf that was found rather than named. */
const UNASKED_PROBLEMS_MAX = 5;

/** How long the writer of a pipe (`check <(kustomize build)`) may leave its reader without a byte. */
const PIPE_LIMIT_MS = 10_000;
const PIPE_LOOK_MS = 20;

/** What the user asked for: flags and environment variables. */
export interface LoadRequest {
  readonly flags: { readonly [setting in Setting]?: string | undefined };
  readonly environment: { readonly [name: string]: string | undefined };
}

interface LoadOptions {
  /** Stand in for DEFAULT_FILE and NGINX_FILE. */
  readonly defaultFile?: string;
  readonly nginxFile?: string;
  /** Texts of files as they were seen a moment ago: these are used, whatever the files hold by now. */
  readonly texts?: ReadonlyMap<string, string>;
}

/** An outcome and where it came from. */
export type Loaded = ConfigResult & {
  /** Null when flags and environment said it all. */
  readonly file: string | null;
  /** Every file that was read; a change of any of them is a change of the configuration. */
  readonly files: readonly string[];
  /** The text of each, as it was read. */
  readonly texts: ReadonlyMap<string, string>;
  /** What the user of an nginx.conf, or of this machine, should know; the log and `check` tell it. */
  readonly notes: readonly string[];
};

/**
 * Reads the file named by --config or --nginx (CONFIG, NGINX), else DEFAULT_FILE when it exists, and lays flags and
 * environment over it. Without a file SPLIT is the configuration, and without SPLIT an nginx.conf that is there.
 * A file that cannot be read is a problem, never a throw.
 */
export async function loadConfig(request: LoadRequest, options: LoadOptions = {}): Promise<Loaded> {
  const loaded = await loadChosen(request, options);
  const surroundings = emptyVariableNotes(request.flags, request.environment);
  const { workers = 1 } = loaded.config ?? {};
  const cores = availableParallelism();
  if (typeof workers === 'number' && workers > Math.max(cores, 2)) {
    surroundings.push(
      `workers is ${workers}, but this machine has ${cores} cores: more workers than cores only wait for each other`,
    );
  }
  return { ...loaded, notes: [...loaded.notes, ...surroundings] };
}

async function loadChosen(request: LoadRequest, options: LoadOptions): Promise<Loaded> {
  const files = new Files(options.texts);
  const settings = givenSettings(request.flags, request.environment);
  const named = settings.filter(({ setting }) => setting === 'config' || setting === 'nginx');
  // A flag takes precedence over a variable even if they name different kinds of files.
  const flagged = named.filter(({ by }) => by.startsWith('--'));
  const [choice, other] = flagged.length > 0 ? flagged : named;
  if (choice !== undefined && other !== undefined) {
    const got = `${choice.by} and ${other.by}`;
    return refused({ at: 'configuration', path: '', order: 0, expected: 'one file', got });
  }
  if (choice?.setting === 'nginx') return loadNginx(choice.text, settings, options, files);
  const defaultFile = options.defaultFile ?? DEFAULT_FILE;
  const file = choice?.text ?? defaultFile;
  const read = await files.read(file);
  if (typeof read === 'string') {
    const readSecret = secretReader(request.environment, files);
    // The grammars are loaded by those who have such a file: a sidecar that is configured by variables has none.
    const { parseConfig } = await import('./parse.ts');
    const outcome = await withPatterns(() => parseConfig(read, file, { ...options, settings, readSecret }));
    return { ...outcome, file, files: files.names, texts: files.texts, notes: [] };
  }
  if (choice !== undefined || !read.missing) return refused(read.problem, file);
  if (settings.some(({ setting }) => setting === 'split')) {
    return {
      ...configFromSettings(settings),
      file: null,
      files: [],
      texts: files.texts,
      notes: [],
    };
  }
  const nginxFile = options.nginxFile ?? NGINX_FILE;
  const expected = `a file named by --config or CONFIG, or ${defaultFile}, or variants in --split or SPLIT`;
  const nothing = { at: 'configuration', path: '', order: 0, expected };
  if (!existsSync(nginxFile)) return refused({ ...nothing, got: 'none of them' });
  const loaded = await loadNginx(nginxFile, settings, options, files);
  if (loaded.problems === undefined) return loaded;
  // No one asked for this file. Where nginx merely is on the machine, the last line is the one that helps, so it stands
  // right above the prompt.
  const unasked = { ...nothing, got: `only ${nginxFile}, which cannot be run as it is` };
  return { ...loaded, problems: [...loaded.problems.slice(0, UNASKED_PROBLEMS_MAX), unasked] };
}

function refused(problem: Problem, file: string | null = null): Loaded {
  return { problems: [problem], file, files: [], texts: new Map(), notes: [] };
}

async function loadNginx(
  file: string,
  settings: readonly GivenSetting[],
  options: LoadOptions,
  files: Files,
): Promise<Loaded> {
  const { translation, ...outcome } = await translateNginx(file, { ...options, settings }, files);
  const { texts } = files;
  return {
    ...outcome,
    file,
    files: translation?.files ?? [file],
    texts,
    notes: translation?.notes ?? [],
  };
}

/** Reads an nginx.conf and its includes. The translation comes with the Config, and with problems where there is one. */
export async function translateNginx(
  file: string,
  options: { readonly settings?: readonly GivenSetting[] } = {},
  files = new Files(),
): Promise<ReturnType<typeof nginx.parseNginx>> {
  const read = await files.read(file);
  if (typeof read !== 'string') return { problems: [read.problem] };
  const { parseNginx } = await import('./nginx/translate.ts');
  const readInclude = includesBeside(file, files);
  return withPatterns(() => parseNginx(read, file, { ...options, readInclude }));
}

/** Files that one `include` may name. */
const INCLUDED_MAX = 256;

/** Reads what `include` names: relative to the main file's directory, patterns in the order of their names. */
function includesBeside(file: string, files: Files): ReadInclude {
  return (pattern) => {
    const path = resolve(dirname(file), pattern);
    const paths = /[*?[]/.test(pattern) ? globSync(path).sort() : [path];
    if (paths.length > INCLUDED_MAX)
      return { got: `${paths.length} files, where ${INCLUDED_MAX} are the limit` };
    try {
      return paths.map((one) => ({ file: one, text: files.readSync(one, TEXT_BYTES_MAX) }));
    } catch (cause) {
      return { got: readFault(cause as NodeJS.ErrnoException) };
    }
  };
}

/** Reads secrets from the environment and from files. White space around a secret is removed. */
function secretReader(environment: LoadRequest['environment'], files: Files): ReadSecret {
  return ({ file, variable }) => {
    if (file === undefined) return environment[variable ?? '']?.trim() ?? { got: 'no such variable' };
    try {
      return files.readSync(file, SECRET_BYTES_MAX).trim();
    } catch (cause) {
      return { got: readFault(cause as NodeJS.ErrnoException) };
    }
  };
}

/** The files of one configuration: each is read once, unless its text is known already. */
class Files {
  /** What they hold, as far as they could be read. */
  readonly texts = new Map<string, string>();
  readonly #names = new Set<string>();
  readonly #known: ReadonlyMap<string, string> | undefined;

  constructor(known?: ReadonlyMap<string, string>) {
    this.#known = known;
  }

  /** Every file that was asked for. */
  get names(): readonly string[] {
    return [...this.#names];
  }

  async read(file: string): Promise<string | ReadFailure> {
    this.#names.add(file);
    const text = this.#known?.get(file) ?? (await readText(file));
    if (typeof text === 'string') this.texts.set(file, text);
    return text;
  }

  /** Throws what was found in place of a regular file of this size. */
  readSync(file: string, bytesMax: number): string {
    this.#names.add(file);
    const known = this.#known?.get(file);
    if (known !== undefined && Buffer.byteLength(known) > bytesMax)
      throw new Error(tooLongText(Buffer.byteLength(known), bytesMax));
    const text = known ?? readRegularFileSync(file, bytesMax).toString();
    this.texts.set(file, text);
    return text;
  }
}

/** True for a file that holds an nginx.conf, so far as its text shows it. */
export async function isNginxFile(file: string): Promise<boolean> {
  const read = await readText(file);
  return typeof read === 'string' && nginxBlockAt(read) >= 0;
}

/** Why a file gave no text. */
export interface ReadFailure {
  readonly problem: Problem;
  /** True when there is no such file, as opposed to one that cannot be read. */
  readonly missing: boolean;
}

/** Text of a file of 1 MiB at most; bytes that are no UTF-8 become U+FFFD, which the parser refuses. */
export async function readText(file: string): Promise<string | ReadFailure> {
  const problem = (expected: string, got: string): Problem => ({
    at: file,
    path: '',
    order: 0,
    expected,
    got,
  });
  try {
    await using handle = await openWithoutWaiting(file);
    const stats = await handle.stat();
    if (!stats.isFile() && !stats.isFIFO()) {
      return { problem: problem('a file', kindOf(stats)), missing: false };
    }
    if (stats.size > TEXT_BYTES_MAX) return { problem: tooLarge(file, stats.size), missing: false };
    // A pipe says nothing of its size; one byte over the limit is enough to know.
    const bytes = Buffer.alloc(TEXT_BYTES_MAX + 1);
    let length = 0;
    while (length < bytes.length) {
      const bytesRead = await readSome(handle, bytes, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > TEXT_BYTES_MAX) return { problem: tooLarge(file, length), missing: false };
    return bytes.toString('utf8', 0, length);
  } catch (cause) {
    const fault = cause as NodeJS.ErrnoException;
    return { problem: problem('a file that can be read', readFault(fault)), missing: isMissing(fault) };
  }
}

/** Reads on in a file or a pipe; the number of bytes, 0 at the end. */
async function readSome(handle: FileHandle, bytes: Buffer, from: number): Promise<number> {
  for (let waitedMs = 0; ; waitedMs += PIPE_LOOK_MS) {
    try {
      return (await handle.read(bytes, from, bytes.length - from, null)).bytesRead;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EAGAIN') throw cause;
      if (waitedMs >= PIPE_LIMIT_MS) throw new Error('a pipe that no one writes to', { cause });
    }
    await sleep(PIPE_LOOK_MS);
  }
}

function isMissing({ code }: NodeJS.ErrnoException): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function readFault(fault: NodeJS.ErrnoException): string {
  if (isMissing(fault)) return 'no such file';
  return fault.code === 'EACCES' ? 'permission denied (EACCES)' : fault.message;
}
