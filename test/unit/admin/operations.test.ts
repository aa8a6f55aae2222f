// docs/operations.md tells the truth: its table of fault codes is the one of errors.ts, its endpoints are those that exist.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startAdmin } from '../../../src/admin/server.ts';
import { FAULT_CODES, FAULTS } from '../../../src/errors.ts';
import { fakeRunning } from '../../support/fake-running.ts';

const DOCUMENT = new URL('../../../docs/operations.md', import.meta.url);
const text = readFileSync(DOCUMENT, 'utf8');

test('the table of fault codes is current (vitest -u writes it)', async () => {
  const rows = FAULT_CODES.map((code) => {
    const { status, blame, sentence } = FAULTS[code];
    return `| \`${code}\` | ${status === 0 ? 'none' : status} | ${blame} | ${sentence} |`;
  });
  const table = ['| code | status | blame | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
  const current = text.replace(/(?<=<!-- faults -->\n)[\s\S]*?(?=<!-- end -->)/, `${table}\n`);
  await expect(current).toMatchFileSnapshot(DOCUMENT.pathname);
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
