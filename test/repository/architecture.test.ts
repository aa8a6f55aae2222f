// The shape of src: which room may import which, what pure rooms stay away from, how a file opens, which names
// are not used, and that the README's file map tells the truth. Reads sources as text, not as types.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const files = globSync('src/**/*.ts', { cwd: root }).sort();

/** Source without comments and without the contents of strings, for searches that must not see prose. */
const bare = (source: string) =>
  source.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g,
    (text) => (text.startsWith('/') ? '' : "''"),
  );

interface Import {
  readonly from: string;
  /** Path from the root for a file of src, otherwise the package or `node:` name. */
  readonly to: string;
}

function importsOf(from: string): Import[] {
  const source = read(from).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/[^\n]*/gm, '');
  const found: Import[] = [];
  for (const match of source.matchAll(
    /^(?:import|export)\s+[^'";]*?\s*from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\(\s*'([^']+)'/gm,
  )) {
    const specifier = (match[1] ?? match[2] ?? match[3])!;
    const to = specifier.startsWith('.') ? relative(root, join(root, dirname(from), specifier)) : specifier;
    found.push({ from, to });
  }
  return found;
}

const imports = files.flatMap(importsOf);

/** The rooms from the ground up: a file imports, values or types, from its own room and from those before it. */
const ROOMS: readonly (readonly [room: string, files: RegExp])[] = [
  [
    'errors',
    /^src\/(errors|bytes|did-you-mean|ip-address|regular-file|turns|wall-clock|young-generation)\.ts$/,
  ],
  ['key', /^src\/key\//],
  ['config', /^src\/config\//],
  ['http1', /^src\/http1\//],
  ['split', /^src\/split\//],
  ['trust', /^src\/trust\//],
  ['telemetry', /^src\/telemetry\//],
  ['transport', /^src\/transport\//],
  ['upstream', /^src\/upstream\//],
  ['routing', /^src\/routing\//],
  ['exchange', /^src\/exchange\//],
  ['downstream', /^src\/downstream\//],
  ['library', /^src\/(embed\/|(index|http-proxy)\.ts$)/], // what embedders import
  ['ambassador', /^src\/ambassador\.ts$/],
  ['workers', /^src\/workers\//],
  ['admin', /^src\/admin\//],
  ['fleet', /^src\/fleet\//],
  ['service', /^src\/service\//],
  ['demo', /^src\/demo\//],
  ['cli', /^src\/cli\//],
  ['main', /^src\/(main|load-thread)\.ts$/],
];
const roomOf = (path: string) => ROOMS.findIndex(([, pattern]) => pattern.test(path));

/** Rooms that compute: no socket, no file, no clock. */
const PURE = /^src\/(key|split|http1|trust)\/|^src\/config\/(?!load)|^src\/upstream\/health\.ts$/;
const isPure = (path: string) => PURE.test(path);

describe('imports point one way', () => {
  it('every file of src stands in a room', () => {
    expect(files.filter((path) => roomOf(path) < 0)).toEqual([]);
  });

  it('every relative import names a file that exists, with its ending', () => {
    const wrong = imports.filter(({ to }) => to.includes('/') && to.startsWith('src') && !files.includes(to));
    expect(wrong).toEqual([]);
  });

  it('from a room to itself and to rooms before it', () => {
    const upward = imports.filter(({ from, to }) => roomOf(to) > roomOf(from));
    expect(upward.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it('no file reaches itself through its imports', () => {
    const next = new Map(files.map((path) => [path, new Set<string>()]));
    for (const { from, to } of imports) if (next.has(to)) next.get(from)!.add(to);
    const circles: string[] = [];
    const done = new Set<string>();
    const walk = (path: string, trail: readonly string[]) => {
      if (trail.includes(path)) circles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      if (done.has(path)) return;
      done.add(path);
      for (const to of next.get(path)!) walk(to, [...trail, path]);
    };
    for (const path of files) walk(path, []);
    expect(circles).toEqual([]);
  });
});

describe('pure rooms', () => {
  const PURE_MODULES = new Set(['node:buffer', 'node:crypto']);
  const PURE_PACKAGES = new Set(['murmurhash', 're2js', 'zod', 'yaml']);

  it('import no sockets, files, timers or processes', () => {
    const impure = imports.filter(
      ({ from, to }) =>
        isPure(from) && !files.includes(to) && !PURE_MODULES.has(to) && !PURE_PACKAGES.has(to.split('/')[0]!),
    );
    expect(impure.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it('read no clock, set no timer and touch no process', () => {
    const IMPURE =
      /\b(setTimeout|setInterval|setImmediate|queueMicrotask|process|Date\.now|new Date\(\)|performance|console)\b/g;
    const found = files
      .filter(isPure)
      .flatMap((path) => [...bare(read(path)).matchAll(IMPURE)].map((match) => `${path}: ${match[0]}`));
    expect(found).toEqual([]);
  });
});

describe('every file of src', () => {
  it('opens with a comment of 2 to 6 lines', () => {
    const wrong = files.filter((path) => {
      const lines = read(path).split('\n');
      if (lines[0]?.startsWith('#!')) lines.shift();
      const header = lines.findIndex((line) => !line.startsWith('//'));
      return header < 2 || header > 6;
    });
    expect(wrong).toEqual([]);
  });

  it('has a kebab-case name that says what it holds', () => {
    const wrong = files.filter((path) => !/^[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(basename(path)));
    const empty = files.filter((path) => /^(utils?|helpers?|common|misc|types)\.ts$/.test(basename(path)));
    expect([...wrong, ...empty]).toEqual([]);
  });

  it('has no `any`', () => {
    const found = files.filter((path) => /[:<|&,(]\s*any\b|\bas any\b/.test(bare(read(path))));
    expect(found).toEqual([]);
  });

  it('leaves process signals and exit to main', () => {
    const found = files.filter(
      (path) =>
        path !== 'src/main.ts' &&
        /\bprocess\.(exit|exitCode|kill|abort|on|once)\b/.test(
          read(path).replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, ''),
        ),
    );
    expect(found).toEqual([]);
  });

  it('exports nothing under a second name', () => {
    // Word by word of the exported identifiers; a room that owns the other meaning of a word may use it.
    const SECOND_NAMES: readonly (readonly [word: string, allowed: RegExp])[] = [
      ['backend', /^src\/demo\//],
      ['server', /^src\/(admin|demo|cli|config|upstream)\//], // `servers` of an upstream, and listening ones
      ['target', /^src\/(http1|split|errors)/], // RFC 9112 §3.2: request target
      ['bucket', /^src\/telemetry\//],
      ['group', /^$/],
      ['session', /^$/],
      ['worker', /^src\/(workers|telemetry)\//], // the processes of `workers: N`
    ];
    const found: string[] = [];
    for (const path of files) {
      const exported = bare(read(path)).matchAll(
        /^export (?:default )?(?:async )?(?:abstract )?(?:const|let|function\*?|class|interface|type|enum) (\w+)/gm,
      );
      for (const [, name] of exported) {
        const words = name!.split(/_|(?<=[a-z0-9])(?=[A-Z])/).map((word) => word.toLowerCase());
        for (const [word, allowed] of SECOND_NAMES) {
          if (words.some((one) => one === word || one === `${word}s`) && !allowed.test(path)) {
            found.push(`${path}: ${name}`);
          }
        }
      }
    }
    expect(found).toEqual([]);
  });
});

/**
 * The map is the first fenced block under a heading with "file map" in it. A line is `path  words`: a file's words
 * are free; a directory's are its files and directories without ending, apart by "·", up to the first ";" or ":".
 */
function parseFileMap(readme: string): { path: string; names: string[] }[] | null {
  const block = /^#+ [^\n]*file map[^\n]*\n[\s\S]*?^```[^\n]*\n([\s\S]*?)^```/im.exec(readme)?.[1];
  if (block === undefined) return null;
  return block
    .split('\n')
    .map((line) => /^\s*(\S+)\s*(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({
      path: match[1]!,
      names: match[1]!.startsWith('src/')
        ? match[2]!
            .split(/[;:]/)[0]!
            .split('·')
            .map((name) => name.trim().split(/[\s(]/)[0]!)
            .filter((name) => name !== '')
        : [],
    }));
}

describe.runIf(existsSync(join(root, 'README.md')))("the README's file map", () => {
  const map = existsSync(join(root, 'README.md')) ? parseFileMap(read('README.md')) : null;

  it('is there: a fenced block under a heading that says "file map"', () => {
    expect(map).not.toBeNull();
  });

  it('names every file of src', () => {
    const lines = map ?? [];
    const unnamed = files.filter(
      (path) =>
        !lines.some(
          (line) =>
            line.path === path ||
            (line.path.endsWith('/') &&
              path.startsWith(line.path) &&
              line.names.includes(path.slice(line.path.length).split('/')[0]!.replace(/\.ts$/, ''))),
        ),
    );
    expect(unnamed).toEqual([]);
  });

  it('names nothing that does not exist', () => {
    const gone: string[] = [];
    for (const { path, names } of map ?? []) {
      if (!existsSync(join(root, path))) gone.push(path);
      if (!path.endsWith('/')) continue;
      for (const name of names) {
        const inside = join(root, path, name);
        if (!existsSync(`${inside}.ts`) && !existsSync(inside)) gone.push(path + name);
      }
    }
    expect(gone).toEqual([]);
  });
});
