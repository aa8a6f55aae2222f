// Three splitters and the process of their fleet, as programs: a variant that is two points worse, of which no replica sees
// enough, is stopped on all of them; SIGHUP at one lets all go on; without the fleet each judges alone and says so.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { ProgramRun } from '../support/program.ts';

/** Answers with its name; a token of which `fails` says so gets a 500. */
async function upstreamNamed(name: string, fails: (token: number) => boolean): Promise<string> {
  const server = createServer((request, response) => {
    response.statusCode = fails(Number(/token=(\d+)/.exec(request.url!)![1])) ? 500 : 200;
    response.end(name);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('the fleet stops a variant on three replicas, none of which sees enough of it, and SIGHUP at one ends that', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'guard-fleet-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const port = await freePort();
  const file = join(folder, 'splitter.yaml');
  const [good, bad] = [
    await upstreamNamed('old', () => false),
    await upstreamNamed('new', (token) => token % 50 === 0),
  ];
  writeFileSync(
    file,
    `splits:
  s:
    guard: { errors: { worseBy: 1 point }, fleet: "http://127.0.0.1:${port}" }
    variants:
      - { name: new, share: 50%, upstream: "${bad}" }
      - { name: old, share: "*", upstream: "${good}" }
`,
  );
  const start = async () => {
    const run = new ProgramRun([], { LISTEN: '127.0.0.1:0', ADMIN: '127.0.0.1:0', CONFIG: file });
    onTestFinished(() => run.kill());
    const { listening, admin } = await run.event<{ listening: string[]; admin: string }>('serving');
    return { run, url: listening[0]!, admin };
  };
  const replicas = [await start(), await start(), await start()];
  const names = replicas.map(({ admin }) => admin.replace('http://', ''));
  const openFleet = () => {
    const run = new ProgramRun(['fleet', ...names, '--listen', `127.0.0.1:${port}`], {});
    onTestFinished(() => run.kill());
    return run;
  };
  const metric = async ({ admin }: (typeof replicas)[number], name: string) =>
    new RegExp(`^${name}\\{split="s"\\} (\\d)$`, 'm').exec(
      await (await fetch(`${admin}/metrics`)).text(),
    )?.[1];
  const metrics = (name: string) => Promise.all(replicas.map((one) => metric(one, name)));
  const becomes = (name: string, value: string) =>
    expect.poll(() => metrics(name), { timeout: 60_000, interval: 250 }).toEqual([value, value, value]);
  let token = 0;
  const serve = async (count: number) => {
    for (const last = token + count; token < last; token += 30) {
      const tokens = Array.from({ length: 30 }, (_, more) => token + more);
      await Promise.all(
        tokens.map(async (one) => (await fetch(`${replicas[one % 3]!.url}/?token=${one}`)).text()),
      );
    }
  };

  let fleet = openFleet();
  await becomes('splitter_guard_fleet_answering', '1');
  // 1,000 keys at each replica, 10 of which fail: too few for one of them, whose judge would want 15 or so.
  await serve(3000);
  await becomes('splitter_guard_stopped', '1');
  for (const { run } of replicas)
    expect(await run.event('guard stopped the split')).toMatchObject({ by: 'fleet', variant: 'new' });
  const scrape = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(scrape).toContain('splitter_fleet_guard_stopped{split="s"} 1');

  replicas[0]!.run.signal('SIGHUP');
  await replicas[0]!.run.event('configuration accepted');
  for (const { run } of replicas) await run.event('guard no longer stops the split');
  await becomes('splitter_guard_stopped', '0');

  await fleet.kill();
  for (const { run } of replicas) await run.event('fleet is silent: guards judge this process alone');
  await becomes('splitter_guard_fleet_answering', '0');
  // One replica sees enough by itself, and stops its own traffic.
  replicas.splice(1);
  await expect
    .poll(
      async () => {
        const tokens = Array.from({ length: 60 }, (_, more) => token + more * 50);
        token += 3000;
        await Promise.all(
          tokens.map(async (one) => (await fetch(`${replicas[0]!.url}/?token=${one}`)).text()),
        );
        const others = Array.from({ length: 200 }, (_, more) => token + more);
        await Promise.all(
          others.map(async (one) => (await fetch(`${replicas[0]!.url}/?token=${one}`)).text()),
        );
        return metrics('splitter_guard_stopped');
      },
      { timeout: 60_000 },
    )
    .toEqual(['1']);
  fleet = openFleet();
  await replicas[0]!.run.event('fleet judges the guards again');
}, 300_000);
