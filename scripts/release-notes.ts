// Prints the section of CHANGELOG.md for a version: `node scripts/release-notes.ts v0.2.0`. Exits with 1 if the tag is not
// the version of package.json, or if the changelog has no section with a date for it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** The section of a version without its heading, or why it cannot be released. */
export function releaseNotes(
  tag: string,
  version: string,
  changelog: string,
): { readonly notes: string } | { readonly problem: string } {
  if (tag !== `v${version}`) return { problem: `the tag is ${tag}, package.json has ${version}` };
  const [, ...sections] = changelog.split(/^## /m);
  const section = sections.find((text) => text.split(/\s/, 1)[0] === version);
  if (section === undefined) return { problem: `CHANGELOG.md has no section "## ${version} (YYYY-MM-DD)"` };
  const [heading = '', ...lines] = section.split('\n');
  if (!/ \(\d{4}-\d{2}-\d{2}\)$/.test(heading.trimEnd())) {
    return { problem: `CHANGELOG.md: expected a date in "## ${heading}", as "## ${version} (YYYY-MM-DD)"` };
  }
  const notes = lines.join('\n').trim();
  return notes === '' ? { problem: `CHANGELOG.md says nothing about ${version}` } : { notes };
}

if (import.meta.main) {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const result = releaseNotes(
    process.argv[2] ?? '',
    version,
    readFileSync(join(root, 'CHANGELOG.md'), 'utf8'),
  );
  if ('notes' in result) console.log(result.notes);
  else {
    console.error(result.problem);
    process.exitCode = 1;
  }
}
