// docs/operations.md tells the truth: its log lines are those that are written, its endpoints those that exist.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startAdmin } from '../../../src/admin/server.ts';
import { fakeRunning } from '../../support/fake-running.ts';

const DOCUMENT = new URL('../../../docs/operations.md', import.meta.url);
const text = readFileSync(DOCUMENT, 'utf8');

test('every message that serve logs is in the table of log lines', () => {
  const source = readFileSync(new URL('../../../src/service/service.ts', import.meta.url), 'utf8');
  const ambassador = readFileSync(new URL('../../../src/ambassador.ts', import.meta.url), 'utf8');
  const logged = [...`${source}${ambassador}`.matchAll(/#log\.\w+\([^;]*?'([^']+)'\)/g)].map(
    (match) => match[1]!,
  );
  expect(logged).toContain('serving');
  for (const message of logged) expect(text).toContain(`\`${message}\``);
});

test('every endpoint of the table answers, and every endpoint that / lists is in the table', async () => {
  const admin = await startAdmin(fakeRunning(), { host: '127.0.0.1', port: 0, path: null });
  try {
    const paths = [...text.matchAll(/^\| `(\/[^`]*)` \|/gm)].map((match) => match[1]!);
    expect(paths).toContain('/readyz');
    for (const path of paths) expect([path, (await fetch(admin.address + path)).status]).toEqual([path, 200]);
    const listed = (await (await fetch(`${admin.address}/nowhere`)).text()).matchAll(/^(\/\w+)/gm);
    for (const [, path] of listed) expect(paths.map((one) => one.split('?')[0])).toContain(path);
  } finally {
    await admin.close();
  }
});
