// The version is written in many files, and a release is made of a tag, the version and the changelog. All of them agree.
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { releaseNotes } from '../../scripts/release-notes.ts';
import { versionPlaces, writeVersion } from '../../scripts/versions.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const version = (JSON.parse(read('package.json')) as { version: string }).version;

describe('the version', () => {
  test('is that of package.json wherever it is written', () => {
    const places = versionPlaces(root);
    expect(places.filter((place) => place.version !== version)).toEqual([]);
  });

  test('is looked for in the files that have it', () => {
    const files = new Set(versionPlaces(root).map(({ file }) => file));
    const expected = [
      'package-lock.json',
      'Dockerfile',
      'README.md',
      'docs/kubernetes.md',
      'charts/request-splitter/Chart.yaml',
    ];
    expect([...files]).toEqual(expect.arrayContaining(expected));
    const manifests = globSync('k8s/**/*.yaml', { cwd: root }).filter((file) =>
      /image: "?request-splitter[:@]/.test(read(file)),
    );
    expect(manifests.length).toBeGreaterThan(0);
    expect([...files]).toEqual(expect.arrayContaining(manifests));
  });

  test('is in no other file that is part of a release', () => {
    const known = new Map<string, number>();
    for (const { file } of versionPlaces(root)) known.set(file, (known.get(file) ?? 0) + 1);
    const files = globSync(
      ['Dockerfile', '*.md', 'docs/*.md', 'k8s/**/*.*', 'charts/**/*.*', '.github/**/*.*'],
      { cwd: root },
    );
    const escaped = version.replaceAll('.', String.raw`\.`);
    const mention = new RegExp(`(?<![\\w.])v?${escaped}(?![\\w]|\\.\\d)`, 'g');
    // These say what was true of a version, and go on saying it.
    const records = new Set(['CHANGELOG.md', 'docs/reliability.md']);
    const wrong = files
      .filter((file) => !records.has(file) && statSync(join(root, file)).isFile())
      .map((file) => [file, read(file).match(mention)?.length ?? 0] as const)
      .filter(([file, count]) => count !== (known.get(file) ?? 0));
    expect(wrong, 'scripts/versions.ts does not find these').toEqual([]);
  });

  test('is the newest of the changelog', () => {
    expect(/^## (\S+)/m.exec(read('CHANGELOG.md'))?.[1]).toBe(version);
  });

  test('changes everywhere at once', () => {
    const folder = mkdtempSync(join(tmpdir(), 'versions-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const before = versionPlaces(root);
    for (const file of new Set(before.map((place) => place.file))) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      cpSync(join(root, file), join(folder, file));
    }
    writeVersion(folder, '12.34.56-rc.7');
    expect(versionPlaces(folder)).toEqual(before.map((place) => ({ ...place, version: '12.34.56-rc.7' })));
    writeVersion(folder, version);
    for (const { file } of before) expect(readFileSync(join(folder, file), 'utf8')).toBe(read(file));
  });
});

describe('the notes of a release', () => {
  const CHANGELOG = `# Changelog

Sentences.

## 0.10.0 (2030-02-03)

- New.
- See \`## not a heading\`.

## 0.1.0 (2030-01-02)

- First.

## 0.0.9 (unreleased)

- Never.

## 0.0.8 (2029-01-01)
`;

  test('are the section of the version, and of no version that starts alike', () => {
    expect(releaseNotes('v0.1.0', '0.1.0', CHANGELOG)).toEqual({ notes: '- First.' });
    expect(releaseNotes('v0.10.0', '0.10.0', CHANGELOG)).toEqual({
      notes: '- New.\n- See `## not a heading`.',
    });
  });

  test.each([
    ['a tag of another version', 'v0.2.0', '0.1.0', 'the tag is v0.2.0, package.json has 0.1.0'],
    ['a tag without its v', '0.1.0', '0.1.0', 'the tag is 0.1.0, package.json has 0.1.0'],
    ['a version without a section', 'v0.2.0', '0.2.0', 'CHANGELOG.md has no section "## 0.2.0 (YYYY-MM-DD)"'],
    [
      'a section without a date',
      'v0.0.9',
      '0.0.9',
      'CHANGELOG.md: expected a date in "## 0.0.9 (unreleased)", as "## 0.0.9 (YYYY-MM-DD)"',
    ],
    ['a section that says nothing', 'v0.0.8', '0.0.8', 'CHANGELOG.md says nothing about 0.0.8'],
  ])('are refused for %s', (_name, tag, of, problem) => {
    expect(releaseNotes(tag, of, CHANGELOG)).toEqual({ problem });
  });
});
