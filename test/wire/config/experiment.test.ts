// An experiment as its users run it, with one process and with workers: a variant fails, its guard stops it, a restart does not
// forget that, and an operator lets it go on. The decision, /status and the manual agree.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ProgramRun } from '../../support/program.ts';

const MANUAL = new URL('../../../docs/experiments.md', import.meta.url);

/** Answers with its name; every `failing`th response is a 500. */
async function upstreamNamed(name: string, failing = Number.POSITIVE_INFINITY): Promise<string> {
  let count = 0;
  const server: Server = createServer((_, response) => {
    response.statusCode = ++count % failing === 0 ? 500 : 200;
    response.end(name);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it.each([1, 2])(
  'a guard stops a failing variant, over a restart too, until SIGHUP lets it go on (workers: %d)',
  async (workers) => {
    const folder = mkdtempSync(join(tmpdir(), 'experiment-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'splitter.yaml');
    writeFileSync(
      file,
      `workers: ${workers}
splits:
  checkout:
    coverage: 80%
    guard: { errors: { worseBy: 1 point }, minimumKeys: 50, stateFile: ${join(folder, 'guard.json')} }
    variants:
      - { name: new, share: 50%, upstream: "${await upstreamNamed('new', 4)}" }
      - { name: old, share: "*", upstream: "${await upstreamNamed('old')}" }
`,
    );
    const start = async () => {
      const run = new ProgramRun([], { LISTEN: '127.0.0.1:0', ADMIN: '127.0.0.1:0', CONFIG: file });
      onTestFinished(() => run.kill());
      const serving = await run.event<{ listening: string[]; admin: string }>('serving');
      return { run, url: serving.listening[0]!, admin: serving.admin };
    };
    const answers = async (url: string, tokens: readonly number[]) =>
      Promise.all(tokens.map(async (token) => (await fetch(`${url}/?token=${token}`)).text()));
    const experimentOf = async (admin: string) => {
      const { splits } = (await (await fetch(`${admin}/status`)).json()) as {
        splits: {
          experiment: { isStopped: boolean; coverageRatio: number; guard: { stop: object | null } };
        }[];
      };
      return splits[0]!.experiment;
    };
    const first = await start();
    const stopped = first.run.event('guard stopped the split');
    let isStopped = false;
    void stopped.then(() => {
      isStopped = true;
    });
    for (let token = 0; !isStopped; token += 20)
      await answers(
        first.url,
        Array.from({ length: 20 }, (_, more) => token + more),
      );
    const shown = /^\{.*"msg":"guard stopped the split"\}$/m.exec(readFileSync(MANUAL, 'utf8'))![0];
    const { time: _, ...logged } = await stopped;
    expect(Object.keys(logged)).toEqual(Object.keys(JSON.parse(shown)));
    expect(logged).toMatchObject({ split: 'checkout', variant: 'new', against: 'old', kind: 'errors' });
    expect(await experimentOf(first.admin)).toMatchObject({ isStopped: true, coverageRatio: 0 });

    const tokens = Array.from({ length: 40 }, (_, token) => token);
    // A worker obeys as soon as it has heard of it.
    const onlyOld = async (url: string) => new Set(await answers(url, tokens)).size === 1;
    await expect.poll(() => onlyOld(first.url), { timeout: 20_000 }).toBe(true);
    await first.run.kill();

    const second = await start();
    await second.run.event('guard stops the split since before the start');
    expect(new Set(await answers(second.url, tokens))).toEqual(new Set(['old']));
    expect((await experimentOf(second.admin)).guard.stop).toMatchObject({ variant: 'new' });
    second.run.signal('SIGHUP');
    await second.run.event('guard no longer stops the split');
    await second.run.event('configuration accepted');
    await expect
      .poll(async () => new Set(await answers(second.url, tokens)).size, { timeout: 20_000 })
      .toBe(2);
    // Where renderings are dear, /status may be a second old.
    await expect
      .poll(() => experimentOf(second.admin), { timeout: 20_000 })
      .toMatchObject({ isStopped: false, coverageRatio: 0.8 });
  },
  120_000,
);
