// Every place that states the version of request-splitter. `node scripts/versions.ts` compares them with package.json and
// exits with 1 if one differs; `node scripts/versions.ts --write` updates them.
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const VERSION = String.raw`\d+\.\d+\.\d+(?:-[0-9A-Za-z]+(?:\.[0-9A-Za-z]+)*)?`;

/** Files, and what stands before and after the version in them. */
const PLACES: readonly (readonly [
  files: string,
  ...around: readonly (readonly [before: string, after: string])[],
])[] = [
  ['package-lock.json', ['"name": "request-splitter",\\s+"version": "', '"']],
  ['Dockerfile', ['request-splitter:', ''], ['ARG VERSION=', '']],
  ['README.md', ['request-splitter:', ''], ['request-splitter-', '\\.tgz']],
  ['docs/*.md', ['request-splitter:', ''], ['request-splitter-', '\\.tgz'], ['"version":"', '","listening"']],
  [
    'k8s/**/*.{yaml,md,sh}',
    ['request-splitter:', ''],
    ['app\\.kubernetes\\.io/version: "?', ''],
    ['name: request-splitter, newTag: "?', ''],
  ],
  ['charts/*/Chart.yaml', ['^version: ', ''], ['^appVersion: "', '"']],
  ['charts/*/README.md', ['name: request-splitter, version: ', '']],
];

export interface Place {
  readonly file: string;
  readonly line: number;
  readonly version: string;
}

function* patternsOf(folder: string): Generator<readonly [file: string, pattern: RegExp]> {
  for (const [files, ...around] of PLACES) {
    for (const file of globSync(files, { cwd: folder }).sort()) {
      for (const [before, after] of around) {
        yield [file, new RegExp(`(?<=${before})${VERSION}(?=${after})`, 'gm')];
      }
    }
  }
}

/** Where the version is written, below a folder. */
export function versionPlaces(folder: string): Place[] {
  return [...patternsOf(folder)].flatMap(([file, pattern]) => {
    const text = readFileSync(join(folder, file), 'utf8');
    return [...text.matchAll(pattern)].map((match) => ({
      file,
      line: text.slice(0, match.index).split('\n').length,
      version: match[0],
    }));
  });
}

/** Writes one version to all of them. */
export function writeVersion(folder: string, version: string): void {
  for (const [file, pattern] of patternsOf(folder)) {
    const text = readFileSync(join(folder, file), 'utf8');
    const changed = text.replace(pattern, version);
    if (changed !== text) writeFileSync(join(folder, file), changed);
  }
}

if (import.meta.main) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  if (process.argv.includes('--write')) writeVersion(root, version);
  const places = versionPlaces(root);
  const wrong = places.filter((place) => place.version !== version);
  for (const place of wrong) {
    console.error(`${place.file}:${place.line}: expected ${version}, got ${place.version}`);
  }
  if (wrong.length > 0) process.exitCode = 1;
  else console.log(`${places.length} places state ${version}`);
}
