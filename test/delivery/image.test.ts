// What the image is made of, as far as the sources say it: the Node that the tests run, every licence, every component.
// test/pods/image.test.ts looks into the built image.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: Record<string, string> };
const dockerfile = read('Dockerfile');

describe('the Dockerfile', () => {
  test('takes the Node that the tests run, in archives whose checksums are known', () => {
    expect(/^ARG NODE_VERSION=(.*)$/m.exec(dockerfile)?.[1]).toBe(devDependencies.node);
    const archives = [...read('scripts/image-node.sha512').matchAll(/^([0-9a-f]{128}) {2}(\S+)$/gm)];
    expect(archives.map(([, , name]) => name)).toEqual(
      ['x64', 'arm64'].map((processor) => `node-linux-${processor}-${devDependencies.node}.tgz`),
    );
  });

  test('has no health check more often than every 30 s', () => {
    expect(Number(/^HEALTHCHECK --interval=(\d+)s /m.exec(dockerfile)?.[1])).toBeGreaterThanOrEqual(30);
  });

  test('copies nothing that .dockerignore keeps out, which names nothing that is not there', () => {
    const kept = [...read('.dockerignore').matchAll(/^!(.*)$/gm)].map(([, path]) => path!);
    expect(kept.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    const named = [...dockerfile.matchAll(/(?<=\s)scripts\/[\w.-]+/g)].map(([path]) => path);
    expect(named.filter((path) => !kept.includes(path))).toEqual([]);
    const imported = named.flatMap((path) =>
      [...read(path).matchAll(/from '\.\/(.*)'/g)].map(([, file]) => `scripts/${file}`),
    );
    expect(imported.filter((path) => !kept.includes(path))).toEqual([]);
  });
});

describe('what the image says of its content', () => {
  let imageRoot = '';
  beforeAll(() => {
    imageRoot = mkdtempSync(join(tmpdir(), 'image-'));
    mkdirSync(join(imageRoot, 'etc'));
    mkdirSync(join(imageRoot, 'var/lib/dpkg/status.d'), { recursive: true });
    writeFileSync(join(imageRoot, 'etc/os-release'), 'NAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n');
    writeFileSync(
      join(imageRoot, 'var/lib/dpkg/status.d/libstdc++6'),
      'Package: libstdc++6\nStatus: install ok installed\nArchitecture: amd64\nSource: gcc-14\nVersion: 14.2.0-19+b1\n',
    );
  });
  afterAll(() => rmSync(imageRoot, { recursive: true }));
  const run = (...words: readonly string[]) =>
    execFileSync(process.execPath, words, { cwd: root, encoding: 'utf8' });

  test('the licence texts are those of this program and of every package in the bundle', () => {
    const names = [...run('scripts/image-licences.ts').matchAll(/^(\S+) \d+\.\d+\.\d+ \((.+)\)$/gm)];
    expect(names.map(([, name]) => name)).toEqual(
      expect.arrayContaining([
        'request-splitter',
        '@redis/client',
        'commander',
        'murmurhash',
        'pino',
        'undici',
        'uplot',
        'yaml',
        'zod',
      ]),
    );
    expect(names.map(([, name]) => name)).not.toContain('vitest');
  });

  test('the SBOM has each of them with its archive, node, and the packages of the libraries', () => {
    const text = run('scripts/image-sbom.ts', imageRoot);
    const { bomFormat, specVersion, metadata, components, dependencies } = JSON.parse(text) as {
      bomFormat: string;
      specVersion: string;
      metadata: { component: { name: string } };
      components: { name: string; version: string; purl: string; hashes?: { content: string }[] }[];
      dependencies: { ref: string; dependsOn?: string[] }[];
    };
    expect([bomFormat, specVersion, metadata.component.name]).toEqual([
      'CycloneDX',
      '1.6',
      'request-splitter',
    ]);
    const purls = components.map(({ purl }) => purl);
    expect(purls).toEqual(
      expect.arrayContaining([
        `pkg:npm/undici@${devDependencies.undici}`,
        expect.stringMatching(/^pkg:npm\/%40pinojs\/redact@/),
        `pkg:generic/node@${devDependencies.node}`,
        'pkg:deb/debian/libstdc%2B%2B6@14.2.0-19%2Bb1?arch=amd64&distro=debian-13',
      ]),
    );
    expect(new Set(purls).size).toBe(purls.length);
    expect(dependencies[0]?.dependsOn).toEqual(purls);
    const packages = components.filter(({ purl }) => purl.startsWith('pkg:npm/'));
    for (const { name, hashes } of packages) expect(hashes?.[0]?.content, name).toMatch(/^[0-9a-f]{128}$/);
    // The same sources are the same bytes.
    expect(run('scripts/image-sbom.ts', imageRoot)).toBe(text);
  });
});
