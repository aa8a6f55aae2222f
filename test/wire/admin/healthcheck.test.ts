// The health check as an image runs it, in a process of its own: how little it loads, and what it answers.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AdminServer, startAdmin } from '../../../src/admin/server.ts';
import { fakeRunning } from '../../support/fake-running.ts';

const MAIN = new URL('../../../src/main.ts', import.meta.url).pathname;
/** Writes the URL of every module that is loaded to standard error. */
const TELL = `data:text/javascript,${encodeURIComponent(
  "import { registerHooks } from 'node:module'; registerHooks({ load: (url, context, next) => { process.stderr.write('loads ' + url + '\\n'); return next(url, context); } });",
)}`;
const running = fakeRunning();
let admin: AdminServer;
let folder = '';
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'healthcheck-'));
  admin = await startAdmin(running, { host: '127.0.0.1', port: 0, path: null });
});
afterAll(async () => {
  await admin.close();
  rmSync(folder, { recursive: true });
});

/** Exit code, what it says, and which files it loads. */
function check(environment: Record<string, string>, ...flags: readonly string[]) {
  return new Promise<{ code: number; err: string; loaded: string[] }>((resolve) => {
    const { PATH = '' } = process.env;
    const child = execFile(
      process.execPath,
      ['--import', TELL, MAIN, 'healthcheck', ...flags],
      { env: { PATH, ...environment } },
      (_, __, stderr) => {
        const lines = stderr.split('\n').filter(Boolean);
        const [loads, err] = [true, false].map((isLoad) =>
          lines.filter((line) => line.startsWith('loads ') === isLoad),
        );
        resolve({ code: child.exitCode!, err: err!.join('\n'), loaded: loads! });
      },
    );
  });
}
const address = () => admin.address.replace('http://', '');
const written = (text: string) => {
  const file = join(folder, 'splitter.yaml');
  writeFileSync(file, text);
  return file;
};
const VARIANTS =
  'splits: { s: { key: $arg_token, variants: [{ name: a, share: "*", upstream: "http://a" }] } }';

test('without flags it loads neither the command line nor the grammar of the configuration', async () => {
  const CONFIG = written(`admin: "${address()}"\n${VARIANTS}\n`);
  for (const environment of [{ CONFIG }, { ADMIN: address() }]) {
    const { code, err, loaded } = await check(environment);
    expect([code, err]).toEqual([0, '']);
    expect(loaded.filter((url) => url.includes('/node_modules/'))).toEqual([]);
    expect(loaded.filter((url) => url.includes('/src/')).map((url) => url.replace(/.*\/src\//, ''))).toEqual([
      'main.ts',
      'cli/readiness.ts',
      'config/listen-address.ts',
      'regular-file.ts',
    ]);
  }
});

test('a file that says it in another way is read by the whole grammar, with the same answer', async () => {
  const CONFIG = written(`"admin": "${address()}"\n${VARIANTS}\n`);
  expect(await check({ CONFIG })).toMatchObject({ code: 0, err: '' });
  expect(await check({}, '--config', CONFIG)).toMatchObject({ code: 0, err: '' });
});

test('a splitter that is not ready is reported with its own sentence', async () => {
  running.state = 'draining';
  try {
    const { code, err } = await check({ ADMIN: address() });
    expect([code, err]).toEqual([1, expect.stringMatching(/^not ready: draining/)]);
  } finally {
    running.state = 'serving';
  }
});

test('a file that a reload has refused does not make the splitter that runs on unhealthy', async () => {
  const CONFIG = written(`admin: "${address()}"\nsplits: { s: { key: $arg_token, variants: [] } }\n`);
  expect(await check({ CONFIG })).toMatchObject({ code: 0, err: '' });
});

test('a file that is not there is reported as `serve` reports it', async () => {
  const { code, err } = await check({ CONFIG: join(folder, 'absent.yaml') });
  expect(code).toBe(1);
  expect(err).toContain('absent.yaml: expected a file that can be read, got no such file');
});
