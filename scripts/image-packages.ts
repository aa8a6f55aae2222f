// The npm packages in the bundle. Asks the bundler which files it includes, so the list has every package that ships and
// no other.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import config from '../rolldown.config.ts';

export const root = join(import.meta.dirname, '..');

export interface Package {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

export const manifestOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Package;

/** The folder of the package that a bundled file belongs to: packages may have further manifests inside. Undefined for a file of this project. */
function packageFolder(file: string): string | undefined {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0];
}

/** Folders of the packages in the bundle, each once, sorted. */
export async function bundledPackages(): Promise<readonly string[]> {
  const { output: _, ...program } = [config].flat()[0]!;
  const bundle = await rolldown({ ...program, cwd: root });
  const { output } = await bundle.generate({ format: 'esm' });
  await bundle.close();
  const files = output.flatMap((chunk) => (chunk.type === 'chunk' ? chunk.moduleIds : []));
  // A file that the bundle carries as text (the page's chart) is no module; the sources find it with import.meta.resolve.
  for (const source of globSync('src/**/*.ts', { cwd: root })) {
    for (const [, file] of readFileSync(join(root, source), 'utf8').matchAll(
      /import\.meta\.resolve\('([^'.][^']*)'\)/g,
    )) {
      files.push(fileURLToPath(import.meta.resolve(file!)));
    }
  }
  const folders = files.map((file) => packageFolder(file.replace(/^\0/, '')));
  return [...new Set(folders.filter((one) => one !== undefined))].sort();
}
