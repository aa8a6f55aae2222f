// Finds and reads the configuration that flags and environment ask for, and gives the Config or every problem.
// The only file of this room beside watch that touches the file system; what a text means is config/parse's matter.

import { open } from 'node:fs/promises';
import { configFromOverrides, overridesFrom, type Setting } from './env.ts';
import type { CheckKey, Outcome } from './link.ts';
import { parseConfig, TEXT_BYTES_MAX, tooLarge } from './parse.ts';
import type { Problem } from './problem.ts';

/** Read when nothing names a file; a ConfigMap is mounted at its directory. */
export const DEFAULT_FILE = '/etc/request-splitter/splitter.yaml';

/** What the user asked for. */
export interface Wishes {
  readonly flags: { readonly [setting in Setting]?: string | undefined };
  readonly environment: { readonly [name: string]: string | undefined };
}

interface LoadOptions {
  readonly checkKey: CheckKey;
  /** Stands in for DEFAULT_FILE. */
  readonly defaultFile?: string;
}

/** An outcome and where it came from: `file` is null when flags and environment said it all. */
export type Loaded = Outcome & { readonly file: string | null };

/**
 * Reads the file named by --config or CONFIG, else DEFAULT_FILE when it exists, and lays flags and environment over
 * it; without a file they are the configuration. A file that cannot be read is a problem, never a throw.
 */
export async function loadConfig(wishes: Wishes, options: LoadOptions): Promise<Loaded> {
  const overrides = overridesFrom(wishes.flags, wishes.environment);
  const named = overrides.find((override) => override.setting === 'config');
  const defaultFile = options.defaultFile ?? DEFAULT_FILE;
  const file = named?.text ?? defaultFile;
  const read = await readText(file);
  if (typeof read === 'string') return { ...parseConfig(read, file, { ...options, overrides }), file };
  if (named === undefined && read.missing) {
    if (overrides.some((override) => override.setting === 'split')) {
      return { ...configFromOverrides(overrides, options), file: null };
    }
    const expected = `a file named by --config or CONFIG, or ${defaultFile}, or variants in --split or SPLIT`;
    return {
      problems: [{ at: 'configuration', path: '', order: 0, expected, got: 'none of them' }],
      file: null,
    };
  }
  return { problems: [read.problem], file };
}

/** The same as `loadConfig` for a file whose new text is at hand already, as config/watch gives it. */
export function parseLoaded(text: string, file: string, wishes: Wishes, options: LoadOptions): Loaded {
  const overrides = overridesFrom(wishes.flags, wishes.environment);
  return { ...parseConfig(text, file, { checkKey: options.checkKey, overrides }), file };
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
    await using handle = await open(file, 'r');
    const stats = await handle.stat();
    if (stats.isDirectory()) {
      return { problem: problem('a file', 'a directory'), missing: false };
    }
    if (stats.size > TEXT_BYTES_MAX) return { problem: tooLarge(file, stats.size), missing: false };
    // A pipe says nothing of its size; one byte over the limit is enough to know.
    const bytes = Buffer.alloc(TEXT_BYTES_MAX + 1);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > TEXT_BYTES_MAX) return { problem: tooLarge(file, length), missing: false };
    return bytes.toString('utf8', 0, length);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const missing = code === 'ENOENT' || code === 'ENOTDIR';
    const got = missing ? 'no such file' : code === 'EACCES' ? 'permission denied (EACCES)' : message;
    return { problem: problem('a file that can be read', got), missing };
  }
}
