// Prints the licences of everything in dist/main.js: this project's first, then one of each
// bundled package, by name. Fails if a shipped package has no licence text.
// Usage: node scripts/image-licences.ts > LICENCES
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundledPackages, manifestOf, root } from './image-packages.ts';

/** Packages under the MIT licence whose archives lack its text, with the copyright line of their repositories. */
const COPYRIGHTS: Readonly<Record<string, string>> = {
  '@redis/client': 'Copyright (c) 2022-2025, Redis, inc.',
};

/** The MIT licence as this project has it, with another copyright line. */
function mitText(copyright: string): string {
  return readFileSync(join(root, 'LICENSE'), 'utf8')
    .trim()
    .replace(/^Copyright .*$/m, copyright);
}

/** A package's own licence and notice files, or else the licence section of its README; throws where there is neither. */
function textOf(folder: string): string {
  const { name, version, license } = manifestOf(folder);
  const read = (file: string) => readFileSync(join(folder, file), 'utf8').trim();
  const texts = globSync('{LICEN[CS]E,licen[cs]e,COPYING,NOTICE}*', { cwd: folder }).sort().map(read);
  if (texts.length === 0) {
    const section = globSync('README*', { cwd: folder })
      .map(read)
      .join('\n')
      .split(/^#+ *licen[cs]e.*$/im)[1];
    const copyright = license === 'MIT' ? COPYRIGHTS[name] : undefined;
    if (section === undefined && copyright === undefined) {
      throw new Error(`${name} ${version}: expected a licence text in ${folder}, got none`);
    }
    texts.push(copyright === undefined ? section!.split(/^#/m)[0]!.trim() : mitText(copyright));
  }
  return `${name} ${version} (${license ?? 'see below'})\n\n${texts.join('\n\n')}`;
}

const folders = await bundledPackages();
console.log([root, ...folders].map(textOf).join(`\n\n${'-'.repeat(80)}\n\n`));
