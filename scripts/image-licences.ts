// Prints the licence texts of everything that dist/main.js carries inside it: this project's own, then one of each
// bundled package, by name. Asks the bundler which files it takes, so nothing is listed that is not shipped, and fails
// where a shipped package has no licence text. Usage: node scripts/image-licences.ts > LICENCES
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import config from '../rolldown.config.ts';

const root = join(import.meta.dirname, '..');

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/** The nearest folder above a bundled file that is a package with a version; undefined for a file of this project. */
function packageFolder(file: string): string | undefined {
  if (!file.includes('/node_modules/')) return undefined;
  for (let folder = dirname(file); folder.includes('/node_modules/'); folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as Partial<Package>).version)
      return folder;
  }
  return undefined;
}

async function bundledPackages(): Promise<string[]> {
  const { output: _, ...program } = [config].flat()[0]!;
  const bundle = await rolldown({ ...program, cwd: root });
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false });
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
  return [...new Set(files.map((file) => packageFolder(file.replace(/^\0/, ''))))].filter(
    (one) => one !== undefined,
  );
}

/** A package's own licence and notice files, or else the licence section of its README; throws where there is neither. */
function textOf(folder: string): string {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Package;
  const read = (file: string) => readFileSync(join(folder, file), 'utf8').trim();
  const texts = globSync('{LICEN[CS]E,licen[cs]e,COPYING,NOTICE}*', { cwd: folder }).sort().map(read);
  if (texts.length === 0) {
    const section = globSync('README*', { cwd: folder })
      .map(read)
      .join('\n')
      .split(/^#+ *licen[cs]e.*$/im)[1];
    if (section === undefined) {
      throw new Error(`${manifest.name} ${manifest.version}: expected a licence text in ${folder}, got none`);
    }
    texts.push(section.split(/^#/m)[0]!.trim());
  }
  return `${manifest.name} ${manifest.version} (${manifest.license ?? 'see below'})\n\n${texts.join('\n\n')}`;
}

const folders = (await bundledPackages()).sort();
console.log([root, ...folders].map(textOf).join(`\n\n${'-'.repeat(80)}\n\n`));
