// The image as the pods use it: what is in it, as whom it runs, and that it needs neither a shell nor a file to write.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildText, readManifests } from '../support/kustomize.ts';
import { renamed } from './support/change.ts';
import { cluster } from './support/cluster.ts';
import { eventually, textOf } from './support/look.ts';

const pods = cluster();
const inside = (...command: readonly string[]) =>
  pods.exec('image-frontend', 'request-splitter', command).trim();
const expression = (code: string) => inside('node', '-p', code);
let admin = '';

/** The pod alone, under a name of its own: its backends are not needed. */
const objects = renamed(
  readManifests(buildText('k8s/ambassador/overlays/direct')).filter(
    ({ metadata }) => !/^backend/.test(metadata.name),
  ),
  'frontend',
  'image-frontend',
);

beforeAll(async () => {
  await pods.apply(objects);
  admin = await pods.forward('deploy/image-frontend', 9901);
});
afterAll(() => pods.down(objects));

test('only the bundle, its licences and its SBOM are in /app', () => {
  expect(expression("fs.readdirSync('/app').sort().join()")).toBe(
    'LICENCES,chunks,load-thread.js,main.js,package.json,sbom.cdx.json',
  );
  expect(expression("fs.readFileSync('/app/LICENCES', 'utf8').includes('murmurhash')")).toBe('true');
});

test('node and the command are all that can be run: no shell, no package manager, nothing setuid', () => {
  // What the cluster mounts is no part of the image.
  const found = expression(`JSON.stringify(
    fs.readdirSync('/').filter((top) => !['dev', 'etc', 'proc', 'run', 'sys'].includes(top))
      .flatMap((top) => fs.readdirSync('/' + top, { recursive: true }).map((name) => '/' + top + '/' + name))
      .map((path) => [path, fs.statSync(path)]).filter(([, one]) => one.isFile())
      .map(([path, one]) => [path, one.mode]))`);
  const files = JSON.parse(found) as [path: string, mode: number][];
  const programs = files.filter(([path, mode]) => (mode & 0o111) !== 0 && !/\.so(?:\.\d+)*$/.test(path));
  expect(programs.map(([path]) => path).sort()).toEqual([
    '/app/main.js',
    '/usr/local/bin/node',
    '/usr/local/bin/request-splitter',
  ]);
  expect(files.filter(([, mode]) => (mode & 0o6000) !== 0)).toEqual([]);
});

test('its Node is the one that the tests run, with its licence and those of the libraries', () => {
  const manifest = readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8');
  const { devDependencies } = JSON.parse(manifest) as { devDependencies: { node: string } };
  expect(expression('process.versions.node')).toBe(devDependencies.node);
  const documented = expression("fs.readdirSync('/usr/share/doc').join()").split(',');
  expect(documented).toEqual(expect.arrayContaining(['libc6', 'libgcc-s1', 'libstdc++6', 'node']));
  const texts = expression(
    "fs.readdirSync('/usr/share/doc').every((name) => fs.readdirSync('/usr/share/doc/' + name).some((file) => fs.statSync('/usr/share/doc/' + name + '/' + file).size > 5000))",
  );
  expect(texts).toBe('true');
  const { components } = JSON.parse(expression("fs.readFileSync('/app/sbom.cdx.json', 'utf8')")) as {
    components: { name: string; version: string }[];
  };
  expect(components).toContainEqual(expect.objectContaining({ name: 'node', version: devDependencies.node }));
  expect(components.map(({ name }) => name)).toEqual(expect.arrayContaining(['murmurhash', 'libc6']));
});

test('names are found as anywhere: hosts of the files and of the cluster, the user, the time zones', () => {
  expect(expression('os.userInfo().username')).toBe('nonroot');
  expect(expression("new Date(0).toLocaleTimeString('en', { timeZone: 'Asia/Tokyo' })")).toMatch(
    /^9:00:00\sAM$/,
  );
  expect(expression('tls.rootCertificates.length > 50')).toBe('true');
  for (const name of ['localhost', 'image-frontend']) {
    const lookup = `dns.lookup('${name}', (fault, address) => console.log(fault?.code ?? net.isIP(address) > 0))`;
    expect(inside('node', '-e', lookup), name).toBe('true');
  }
});

test('the splitter is PID 1, runs as 65532, and can write nowhere', () => {
  const status = expression("fs.readFileSync('/proc/1/status', 'utf8')");
  expect(
    expression("fs.readFileSync('/proc/1/cmdline', 'utf8').replaceAll(String.fromCharCode(0), ' ').trim()"),
  ).toMatch(
    /^node --max-old-space-size-percentage=\d+ --max-semi-space-size=\d+ --disable-sigusr1 \/app\/main\.js$/,
  );
  expect(status).toMatch(/^Uid:\t65532\t65532/m);
  expect(status).toMatch(/^NoNewPrivs:\t1/m);
  expect(status).toMatch(/^CapEff:\t0+$/m);
  for (const folder of ['/', '/app', '/tmp', '/etc/request-splitter']) {
    expect(
      expression(`try { fs.writeFileSync('${folder}/x', ''); 'written' } catch (cause) { cause.code }`),
    ).toMatch(/^(?:EROFS|EACCES)$/);
  }
});

test('the heap may grow to half of the memory limit', () => {
  const limit = 160;
  const heap = Number(
    inside(
      'node',
      '--max-old-space-size-percentage=50',
      '-p',
      'v8.getHeapStatistics().heap_size_limit / 1048576',
    ),
  );
  expect(heap).toBeGreaterThanOrEqual(limit / 2);
  expect(heap).toBeLessThan(limit);
});

test('the health check is the program itself', () => {
  expect(inside('node', '/app/main.js', 'healthcheck')).toBe('');
  expect(() => inside('node', '/app/main.js', 'healthcheck', '--admin', ':9')).toThrow();
});

test('explain in the container says what the data plane does', async () => {
  expect(inside('request-splitter', 'explain', '/?token=token')).toContain('version_1b');
  await eventually(
    () => textOf(`${admin}/explain?url=/?token=token`),
    (text) => text.includes('version_1b'),
  );
});
