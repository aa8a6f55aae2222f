// Flags and environment variables -> the same configuration as a file gives. One list declares each setting's flag,
// variable and sentence; config/parse and config/load put the given ones in place of the file's.
// Precedence: flag > environment > file > default. Knows nothing of process.env or of argv.

import { type ConfigResult, linkSource } from './link.ts';
import { parseUpstreamUrl } from './options/addresses.ts';
import { formatPath, type Path, type Place, type Problem, showGot } from './problem.ts';
import { isMap, type LocatedDocument, type RawMap } from './raw.ts';

/** The split that SPLIT makes where no file names one. */
const DEFAULT_SPLIT = 'default';

/** Every setting that has a flag and an environment variable. `config` and `nginx` say which file is read. */
export const SETTINGS = {
  config: {
    flag: '--config',
    variable: 'CONFIG',
    argument: 'FILE',
    doc: 'YAML file to read (default: /etc/request-splitter/splitter.yaml, if it exists)',
  },
  nginx: {
    flag: '--nginx',
    variable: 'NGINX',
    argument: 'FILE',
    doc: 'nginx.conf to run unchanged, instead of a YAML file',
  },
  listen: {
    flag: '--listen',
    variable: 'LISTEN',
    argument: 'ADDRESS',
    doc: 'address for requests, like :8000, 127.0.0.1:8000 or unix:/run/splitter.sock; separate several by commas',
  },
  admin: {
    flag: '--admin',
    variable: 'ADMIN',
    argument: 'ADDRESS',
    doc: 'address of the admin port, or off',
  },
  workers: {
    flag: '--workers',
    variable: 'WORKERS',
    argument: 'N',
    doc: 'processes that serve requests: 1, more for a separate Deployment, auto = one per core',
  },
  logLevel: {
    flag: '--log-level',
    variable: 'LOG_LEVEL',
    argument: 'LEVEL',
    doc: 'mildest lines that the splitter logs about itself: info, warn or error',
  },
  key: {
    flag: '--key',
    variable: 'SPLIT_KEY',
    argument: 'KEY',
    doc: "what is hashed, like '$arg_token' or 'exp42:${cookie_uid}'; in a shell use single quotes",
  },
  split: {
    flag: '--split',
    variable: 'SPLIT',
    argument: 'SPLIT',
    doc: "variants, like '50% http://backend; * http://backend-experiment'; NAME= before a share names the variant",
  },
} as const;

/** Name of a setting that flags and variables can give. */
export type Setting = keyof typeof SETTINGS;

/** A setting that was given, and by which name: "LISTEN" or "--listen". */
export interface GivenSetting {
  readonly setting: Setting;
  readonly text: string;
  readonly by: string;
}

type Flags = { readonly [setting in Setting]?: string | undefined };
type Environment = { readonly [name: string]: string | undefined };

/**
 * The given settings, a flag before its variable. A variable that is empty counts as absent (a manifest cannot
 * always leave it out), an empty flag does not. Nor does an empty SPLIT_KEY beside variants: a shell that replaced
 * "$cookie_uid" by nothing would otherwise split by the default key.
 */
export function givenSettings(flags: Flags, environment: Environment): GivenSetting[] {
  const given: GivenSetting[] = [];
  for (const setting of Object.keys(SETTINGS) as Setting[]) {
    const flag = flags[setting];
    const value = environment[SETTINGS[setting].variable];
    if (flag !== undefined) given.push({ setting, text: flag, by: SETTINGS[setting].flag });
    else if (value) given.push({ setting, text: value, by: SETTINGS[setting].variable });
  }
  const { variable } = SETTINGS.key;
  if (isEmptied('key', flags, environment) && given.some(({ setting }) => setting === 'split')) {
    given.push({ setting: 'key', text: '', by: variable });
  }
  return given;
}

function isEmptied(setting: Setting, flags: Flags, environment: Environment): boolean {
  return flags[setting] === undefined && environment[SETTINGS[setting].variable] === '';
}

/** A note for each variable that is set to nothing and so counts as absent. */
export function emptyVariableNotes(flags: Flags, environment: Environment): string[] {
  const emptied = (Object.keys(SETTINGS) as Setting[]).filter((setting) =>
    isEmptied(setting, flags, environment),
  );
  return emptied.map((setting) => `${SETTINGS[setting].variable} is set but empty: it counts as absent`);
}

/** Config from flags and variables alone. */
export function configFromSettings(settings: readonly GivenSetting[]): ConfigResult {
  const nowhere = (path: Path): Place => ({ at: SETTINGS.split.variable, path: formatPath(path), order: 0 });
  const { source, problems } = overlay({ document: {}, locate: nowhere }, settings);
  const outcome = linkSource(source);
  if (problems.length === 0) return outcome;
  return { problems: [...problems, ...(outcome.problems ?? [])].sort((a, b) => a.order - b.order) };
}

/** Where a value came from: the setting's name, and the 1-based column in its text (0 = the whole). */
interface SettingOrigin {
  readonly prefix: Path;
  readonly by: string;
  readonly column: number;
}

/**
 * `source` with the given settings in place of its own. SPLIT and SPLIT_KEY apply to the only split there is, and
 * make one named "default" where there is none; with several splits they are a problem.
 */
export function overlay(
  source: LocatedDocument,
  settings: readonly GivenSetting[],
): { source: LocatedDocument; problems: readonly Problem[] } {
  const document: RawMap = { ...(source.document as RawMap) };
  const problems: Problem[] = [];
  const origins: SettingOrigin[] = [];
  for (const given of settings) {
    const { setting, text, by } = given;
    switch (setting) {
      case 'config':
      case 'nginx':
        break;
      case 'listen': {
        const addresses = text.split(',').map((part) => part.trim());
        document.listen = addresses.length === 1 ? text : addresses;
        origins.push({ prefix: ['listen'], by, column: 0 });
        break;
      }
      case 'admin':
        document.admin = text;
        origins.push({ prefix: ['admin'], by, column: 0 });
        break;
      case 'workers':
        document.workers = /^\d{1,9}$/.test(text) ? Number(text) : text;
        origins.push({ prefix: ['workers'], by, column: 0 });
        break;
      case 'logLevel':
        document.log = { ...(isMap(document.log) ? document.log : {}), level: text };
        origins.push({ prefix: ['log', 'level'], by, column: 0 });
        break;
      case 'key':
      case 'split':
        overlaySplit(document, given, origins, problems);
        break;
      default:
        setting satisfies never;
    }
  }
  const locate: LocatedDocument['locate'] = (path, part, offset = 0) => {
    const origin = origins.find(({ prefix }) => prefix.every((step, index) => step === path[index]));
    if (origin === undefined) return source.locate(path, part, offset);
    return placeIn(origin.by, offset > 0 ? Math.max(origin.column, 1) + offset : origin.column);
  };
  return { source: { ...source, document, locate }, problems };
}

// Settings come before everything in a file.
function placeIn(by: string, column: number): Place {
  return { at: column > 0 ? `${by}:${column}` : by, path: '', order: column - 1e9 };
}

function overlaySplit(
  document: RawMap,
  given: GivenSetting,
  origins: SettingOrigin[],
  problems: Problem[],
): void {
  const { setting, text, by } = given;
  const splits = isMap(document.splits) ? document.splits : {};
  const names = Object.keys(splits);
  if (names.length > 1) {
    const expected = 'a configuration with one split, to which it applies';
    problems.push({ ...placeIn(by, 0), expected, got: `${names.length}: ${names.slice(0, 5).join(', ')}` });
    return;
  }
  const name = names[0] ?? DEFAULT_SPLIT;
  const split: RawMap = isMap(splits[name]) ? { ...splits[name] } : {};
  document.splits = { ...splits, [name]: split };
  if (setting === 'key') {
    split.key = text;
    origins.push({ prefix: ['splits', name, 'key'], by, column: 0 });
    return;
  }
  const list: Path = ['splits', name, 'variants'];
  const arms = readArms(text, by, problems);
  split.variants = nameArms(arms);
  for (const [index, arm] of arms.entries()) {
    origins.push({ prefix: [...list, index, 'name'], by, column: arm.column });
    origins.push({ prefix: [...list, index, 'share'], by, column: arm.shareColumn });
    origins.push({ prefix: [...list, index, 'upstream'], by, column: arm.upstreamColumn });
    origins.push({ prefix: [...list, index], by, column: arm.column });
  }
  origins.push({ prefix: list, by, column: 0 });
}

interface GivenVariant {
  readonly name: string | undefined;
  readonly share: string;
  readonly upstream: string | undefined;
  readonly column: number;
  readonly shareColumn: number;
  readonly upstreamColumn: number;
}

/** `[NAME=]SHARE UPSTREAM; …` -> its arms. What the words mean is checked with the rest of the document. */
function readArms(text: string, by: string, problems: Problem[]): GivenVariant[] {
  const arms: GivenVariant[] = [];
  for (const piece of text.matchAll(/[^;]+/g)) {
    const words = [...piece[0].matchAll(/\S+/g)].map((word) => ({
      text: word[0],
      column: piece.index + word.index + 1,
    }));
    const [first, second, third] = words;
    if (first === undefined) continue;
    if (third !== undefined) {
      const expected = '"[NAME=]SHARE UPSTREAM" between semicolons';
      problems.push({ ...placeIn(by, third.column), expected, got: showGot(piece[0].trim()) });
    }
    const equals = first.text.indexOf('=');
    arms.push({
      name: equals < 0 ? undefined : first.text.slice(0, equals),
      share: first.text.slice(equals + 1),
      upstream: second?.text,
      column: first.column,
      shareColumn: first.column + equals + 1,
      upstreamColumn: second?.column ?? first.column + first.text.length,
    });
  }
  return arms;
}

/** Variants with a name each: the given one, else the upstream's host, with its port or a number where that is taken. */
function nameArms(arms: readonly GivenVariant[]): RawMap[] {
  const taken = new Set(arms.map((arm) => arm.name));
  const hosts = arms.map((arm) => (arm.name === undefined ? hostOfUpstream(arm.upstream ?? '') : ''));
  return arms.map((arm, index) => {
    const { share, upstream } = arm;
    if (arm.name !== undefined) return { name: arm.name, share, upstream };
    const url = parseUpstreamUrl(upstream ?? '');
    const host = hosts[index]!;
    const isShared = hosts.indexOf(host) !== hosts.lastIndexOf(host);
    const base = isShared && url !== undefined && url.path === null ? `${host}-${url.port}` : host;
    let name = base;
    for (let number = 2; taken.has(name); number++) name = `${base}-${number}`;
    taken.add(name);
    return { name, share, upstream };
  });
}

/** A name made of an upstream's host, of its socket's file name, or of the upstream's own name. */
function hostOfUpstream(upstream: string): string {
  const url = parseUpstreamUrl(upstream);
  const text =
    url === undefined ? upstream : (url.path?.replace(/^.*\//, '').replace(/\.sock$/, '') ?? url.host);
  const clean = text
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .replace(/^[^A-Za-z0-9_]+/, '')
    .slice(0, 50);
  return clean === '' ? 'variant' : clean;
}
