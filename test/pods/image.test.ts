// The image as the pods use it: what is in it, as whom it runs, and that it needs neither a shell nor a file to write.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildText, readManifests } from '../support/kustomize.ts';
import { cluster } from './support/cluster.ts';
import { eventually, textOf } from './support/look.ts';

const pods = cluster();
const inside = (...command: readonly string[]) => pods.exec('frontend', 'request-splitter', command).trim();
const expression = (code: string) => inside('node', '-p', code);
let admin = '';

beforeAll(async () => {
  await pods.apply(readManifests(buildText('k8s/ambassador/overlays/direct')));
  admin = await pods.forward('deploy/frontend', 9901);
});
afterAll(() => pods.down());

test('only the bundle and its licences are in /app, and npm is not there', () => {
  expect(expression("fs.readdirSync('/app').sort().join()")).toBe('LICENCES,chunks,main.js,package.json');
  expect(expression("fs.existsSync('/usr/local/lib/node_modules')")).toBe('false');
  expect(expression("fs.readFileSync('/app/LICENCES', 'utf8').includes('murmurhash')")).toBe('true');
});

test('the splitter is PID 1, runs as 65532, and can write nowhere', () => {
  const status = expression("fs.readFileSync('/proc/1/status', 'utf8')");
  expect(
    expression("fs.readFileSync('/proc/1/cmdline', 'utf8').replaceAll(String.fromCharCode(0), ' ').trim()"),
  ).toMatch(/^node --max-old-space-size-percentage=\d+ --max-semi-space-size=\d+ \/app\/main\.js$/);
  expect(status).toMatch(/^Uid:\t65532\t65532/m);
  expect(status).toMatch(/^NoNewPrivs:\t1/m);
  expect(status).toMatch(/^CapEff:\t0+$/m);
  for (const folder of ['/', '/app', '/tmp', '/etc/request-splitter']) {
    expect(
      expression(`try { fs.writeFileSync('${folder}/x', ''); 'written' } catch (cause) { cause.code }`),
    ).toMatch(/EROFS|EACCES/);
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
