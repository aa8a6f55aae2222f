// Requests while a large configuration is read: the process goes on answering, and what was read is taken into use.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startEcho } from '../../../src/demo/echo.ts';
import { ProgramRun } from '../../support/program.ts';

it('a reload of thousands of routes and of secrets answers the requests that come meanwhile', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'reload-'));
  const file = join(folder, 'splitter.yaml');
  const echo = await startEcho('a');
  const base = `listen: 127.0.0.1:0
admin: 127.0.0.1:0
upstreams: { u: { url: "${echo.url}" } }
`;
  writeFileSync(file, `${base}routes: [{ upstream: u }]\n`);
  const run = new ProgramRun(['--config', file], {});
  onTestFinished(async () => {
    await run.kill();
    await echo.close();
    rmSync(folder, { recursive: true });
  });
  const { listening } = await run.event<{ listening: string[] }>('serving');
  const split = (i: number) =>
    `  s${i}: { override: { header: x-v, variants: [a], secret: 0123456789abcdef${i} }, variants: [{ name: a, share: "*", upstream: u }] }\n`;
  const rows = <T>(count: number, row: (i: number) => T) => Array.from({ length: count }, (_, i) => row(i));
  const text = `${base}splits:\n${rows(10, split).join('')}routes:\n${rows(3000, (i) => `  - { path: /p${i}, split: s${i % 10} }\n`).join('')}  - { upstream: u }\n`;
  writeFileSync(file, text);
  run.signal('SIGHUP');
  let isAccepted = false;
  const accepted = run.event('configuration accepted').then((event) => {
    isAccepted = true;
    return event;
  });
  const statuses = new Map<number, number>();
  while (!isAccepted) {
    const { status } = await fetch(listening[0]!);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  expect([...statuses.keys()]).toEqual([200]);
  // On the loop it would be the answers before and after, and hardly one between.
  expect(statuses.get(200)).toBeGreaterThan(20);
  expect(await accepted).toMatchObject({ generation: 2 });
  expect((await fetch(`${listening[0]}/p2999`)).status).toBe(200);
});
