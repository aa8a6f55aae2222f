// Three processes whose clocks are 50 ms apart take a step of coverage under 1,000 requests a second. The clocks are those
// of one machine, so each process has the step 50 ms later than the one before: the same to whoever compares them.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as until } from 'node:timers/promises';
import { Pool } from 'undici';
import { expect, it, onTestFinished } from 'vitest';
import { createSplitter } from '../../src/index.ts';
import { ProgramRun } from '../support/program.ts';

const APART_MS = 50;
const PER_SECOND = 1000;

it('no key disagrees outside of the 50 ms, and no request is lost', async () => {
  const server = createServer((request, response) => response.end(request.headers['x-variant']));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const step = Date.now() + 15_000;
  const pools = await Promise.all(
    [0, 1, 2].map(async (late) => {
      const at = new Date(step + late * APART_MS).toISOString();
      const run = new ProgramRun([], {
        LISTEN: '127.0.0.1:0',
        ADMIN: 'off',
        CONFIG: await fileOf(`variantHeader: { name: x-variant }
splits:
  s:
    coverage: { steps: [{ at: ${at}, to: 100% }] }
    variants: [{ name: new, share: 50%, upstream: "${upstream}" }, { name: old, share: "*", upstream: "${upstream}" }]
`),
      });
      onTestFinished(() => run.kill());
      const { listening } = await run.event<{ listening: [string] }>('serving');
      const pool = new Pool(listening[0], { connections: 16 });
      onTestFinished(() => pool.destroy());
      return pool;
    }),
  );
  const after = createSplitter({
    variants: [
      { name: 'new', share: '50%' },
      { name: 'old', share: '*' },
    ],
  });
  const wrong: string[] = [];
  let [before, later] = [0, 0];
  const ask = async (number: number): Promise<void> => {
    const path = `/?token=${number % 500}`;
    const sentAt = Date.now();
    const { statusCode, body } = await pools[number % 3]!.request({ path, method: 'GET' });
    const variant = await body.text();
    const answeredAt = Date.now();
    const wanted = after.decide({ url: path }).variant.name;
    if (statusCode !== 200) wrong.push(`${path}: ${statusCode}`);
    else if (answeredAt < step) {
      before++;
      if (variant !== 'old') wrong.push(`${path}: ${variant} before the step`);
    } else if (sentAt >= step + 2 * APART_MS) {
      later++;
      if (variant !== wanted) wrong.push(`${path}: ${variant} after the step`);
    }
  };
  const asked: Promise<void>[] = [];
  await until(Math.max(0, step - 2000 - Date.now()));
  for (let tick = 0, startedAt = Date.now(); tick < 400; tick++) {
    for (let one = 0; one < PER_SECOND / 100; one++) asked.push(ask(asked.length));
    await until(Math.max(0, startedAt + tick * 10 - Date.now()));
  }
  await Promise.all(asked);
  expect(wrong).toEqual([]);
  expect(Math.min(before, later)).toBeGreaterThan(100);
});

async function fileOf(text: string): Promise<string> {
  const { mkdtemp, rm, writeFile } = await import('node:fs/promises');
  const folder = await mkdtemp('/tmp/steps-');
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = `${folder}/splitter.yaml`;
  await writeFile(file, text);
  return file;
}
