// Prints the licences of everything in dist/main.js: this project's first, then one of each
// bundled package, by name. Fails if a shipped package has no licence text.
// Usage: node scripts/image-licences.ts > LICENCES
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundledPackages, manifestOf, root } from './image-packages.ts';

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
    if (section === undefined) {
      throw new Error(`${name} ${version}: expected a licence text in ${folder}, got none`);
    }
    texts.push(section.split(/^#/m)[0]!.trim());
  }
  return `${name} ${version} (${license ?? 'see below'})\n\n${texts.join('\n\n')}`;
}

const folders = await bundledPackages();
console.log([root, ...folders].map(textOf).join(`\n\n${'-'.repeat(80)}\n\n`));
