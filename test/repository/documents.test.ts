// The documents tell the truth where they name things: links lead somewhere, files and names exist, the index of
// decisions is complete, and the example of the README prints what it shows. Reads Markdown as text.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { playExamples } from '../../scripts/examples.ts';
import { DECISIONS, renderDecisions } from '../../scripts/write-docs.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const pages = globSync(
  ['*.md', 'docs/**/*.md', 'bench/*.md', 'k8s/**/*.md', 'charts/**/*.md', 'test/**/*.md'],
  { cwd: root },
).sort();

/** A page without its fenced blocks and comments. */
const prose = (text: string) => text.replace(/^```[\s\S]*?^```$|<!--[\s\S]*?-->/gm, '');

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const anchorsOf = (path: string) =>
  [...prose(read(path)).matchAll(/^#+ (.+)$/gm)].map((match) => anchorOf(match[1]!));

describe('every page', () => {
  it('links to files and headings that exist', () => {
    const broken: string[] = [];
    for (const page of pages) {
      for (const [, target] of prose(read(page)).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        const [file, anchor] = target!.split('#');
        const path = file === '' ? page : relative(root, join(root, dirname(page), file!));
        if (!existsSync(join(root, path)) || (anchor && !anchorsOf(path).includes(anchor))) {
          broken.push(`${page}: ${target}`);
        }
      }
    }
    expect(broken).toEqual([]);
  });

  it('names files that exist', () => {
    // The changelog speaks of the files of its day.
    const gone = pages
      .filter((page) => page !== 'CHANGELOG.md')
      .flatMap((page) =>
        [
          ...prose(read(page)).matchAll(
            /`((?:src|test|scripts|bench|docs|examples|charts|k8s)\/[\w./-]*\w)`/g,
          ),
        ]
          .filter(([, path]) => !existsSync(join(root, path!)))
          .map(([, path]) => `${page}: ${path}`),
      );
    expect(gone).toEqual([]);
  });

  it('runs programs that exist', () => {
    const gone = pages
      .filter((page) => page !== 'CHANGELOG.md')
      .flatMap((page) =>
        [...read(page).matchAll(/\bnode ((?:src|test|scripts|bench|examples)\/[\w./-]+\.ts)/g)]
          .filter(([, path]) => !existsSync(join(root, path!)))
          .map(([, path]) => `${page}: ${path}`),
      );
    expect(gone).toEqual([]);
  });
});

it('.gitattributes marks files that exist', () => {
  const patterns = [...read('.gitattributes').matchAll(/^([^#\s]\S*) linguist-generated$/gm)].map(
    (match) => match[1]!,
  );
  expect(patterns).toContain('docs/schema.json');
  expect(patterns.filter((pattern) => globSync(pattern, { cwd: root }).length === 0)).toEqual([]);
});

describe('the decisions', () => {
  it('each have a title and a date, and the index lists them all (node scripts/write-docs.ts writes it)', () => {
    expect(readFileSync(join(DECISIONS, 'README.md'), 'utf8')).toBe(renderDecisions());
  });
});

describe('the README', () => {
  it('shows what its explain example prints, with one line called hash', () => {
    const blocks = [
      ...read('README.md').matchAll(/^```console\n\$ request-splitter explain [\s\S]*?^```$/gm),
    ];
    expect(blocks).toHaveLength(1);
    const block = blocks[0]![0];
    expect(playExamples([block])).toEqual([block]);
    expect(block.match(/^ *"?hash\b/gm)).toHaveLength(1);
  });

  it('says on its first screen how to get the image and the package', () => {
    const screen = read('README.md').split('\n').slice(0, 40).join('\n');
    expect(screen).toContain('docker build');
    expect(screen).toContain('npm install');
  });
});

describe('docs/architecture.md', () => {
  const text = read('docs/architecture.md');
  const sources = globSync('src/**/*.ts', { cwd: root }).map(read).join('\n');
  const rooms = [...read('test/repository/architecture.test.ts').matchAll(/^ {2}\[\s*'(\w+)',\s*\//gm)].map(
    (match) => match[1]!,
  );
  /** The cells of a table's rows, by the first word of its heading row. */
  const table = (first: string) =>
    new RegExp(`^\\| ${first} \\|.*\\n\\|[- |]+\\n((?:\\|.*\\n)*)`, 'm')
      .exec(text)![1]!
      .trim()
      .split('\n')
      .map((line) => line.split('|').map((cell) => cell.trim()));

  it('lists the rooms in the order in which they may import', () => {
    expect(rooms).toContain('exchange');
    expect(table('room').map((cells) => cells[1])).toEqual(rooms.map((room) => `\`${room}\``));
  });

  it('draws rooms, and otherwise only the app and the server', () => {
    const diagram = /^```mermaid\n([\s\S]*?)^```/m.exec(text)![1]!;
    const nodes = new Set(
      [...diagram.matchAll(/^ +(\w+).*? (\w+)(?:\(|$)/gm)].flatMap(([, from, to]) => [from!, to!]),
    );
    for (const outside of ['app', 'server']) expect(nodes.delete(outside)).toBe(true);
    expect([...nodes].filter((node) => !rooms.includes(node))).toEqual([]);
    expect(nodes).toContain('exchange');
  });

  it('gives for each word names that the code exports', () => {
    const names = table('word').flatMap((cells) =>
      [...cells[3]!.matchAll(/`(\w+)`/g)].map((match) => match[1]!),
    );
    expect(names).toContain('Exchange');
    const exported = (name: string) =>
      new RegExp(`^export (?:abstract )?(?:const|function|class|interface|type) ${name}\\b`, 'm').test(
        sources,
      );
    expect(names.filter((name) => !exported(name))).toEqual([]);
  });
});

describe.each(['docs/architecture.md', 'CONTRIBUTING.md'])('%s', (page) => {
  it('writes nothing in backticks that does not exist', () => {
    const text = prose(read(page));
    const sources = globSync(['src/**/*.ts', '*.json', 'test/**/*.ts'], { cwd: root }).map(read).join('\n');
    const files = [...text.matchAll(/`([\w.-]+(?:\/[\w.-]+)*\/?)`/g)].map((match) => match[1]!);
    const unknown = files.filter((name) =>
      /[/.]/.test(name) ? !existsSync(join(root, name)) : !new RegExp(`\\b${name}\\b`).test(sources),
    );
    expect(unknown).toEqual([]);
  });
});
