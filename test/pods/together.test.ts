// All stacks in one namespace at once: each serves its own, the walk-through prints what docs/multi-container-pods.md says,
// and what an operator does to several replicas (rollouts, scale-in, the drain of a node) loses no request.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import murmurhash from 'murmurhash';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildText, readManifests } from '../support/kustomize.ts';
import { edited, renamed, restarted, scaled } from './support/change.ts';
import { cluster } from './support/cluster.ts';
import { eventually, textOf } from './support/look.ts';
import { type Answer, askAll, eachItsOwn, kept, Traffic } from './support/traffic.ts';

const pods = cluster();
const objectsOf = (folder: string) => readManifests(buildText(folder));
const tokens = Array.from({ length: 200 }, (_none, index) => `token-${index}`);
const A = 'hello backend';
const B = 'hello backend-experiment';
const isFirst = (token: string, share: number) =>
  murmurhash.v2(Buffer.from(token), 0) < Math.floor((share * 4294967295) / 10000);
const bodyOf = (token: string) => (isFirst(token, 5000) ? A : B);
const ofB = tokens.filter((token) => bodyOf(token) === B);
const failed = (answers: readonly Answer[]) => answers.filter(({ status }) => status !== 200);
const moved = (answers: readonly Answer[]) => answers.filter(({ token, body }) => body !== bodyOf(token));

const ambassador = objectsOf('k8s/ambassador');
/** The frontend of an overlay beside that of the base, on the same backends. */
const beside = (overlay: string, name: string) =>
  renamed(
    objectsOf(`k8s/ambassador/overlays/${overlay}`).filter(({ metadata }) => !/^backend/.test(metadata.name)),
    'frontend',
    name,
  );
const overlays = [...beside('direct', 'direct-frontend'), ...beside('before-1.29', 'old-frontend')];
const fleet = objectsOf('k8s/monitoring/fleet');
const others = ['k8s/sidecar', 'k8s/adapter', 'k8s/your-app', 'test/pods/prometheus'].flatMap(objectsOf);

interface FleetStatus {
  readonly fleet: {
    readonly askedAt: string | null;
    readonly answering: number;
    readonly pods: readonly unknown[];
    readonly hashes: readonly string[];
  };
  readonly splits: readonly {
    readonly sample: { readonly keys: number };
    readonly variants: readonly { readonly sample: { readonly requests: number } }[];
  }[];
}

let url = '';
let shop = '';

beforeAll(async () => {
  // What forwarded ports to the stacks before would go on running beside these.
  pods.down();
  await pods.apply([...ambassador, ...overlays, ...others]);
  url = await pods.forward('svc/frontend', 80);
  shop = await pods.forward('svc/shop', 80);
});
afterAll(() => pods.down());

describe('all stacks in one namespace', () => {
  test('Prometheus scrapes the splitter: requests by variant add up to what was sent, and the database says pg_up', async () => {
    const ask = await pods.forward('svc/prometheus', 9090);
    const query = async (text: string) => {
      const { data } = JSON.parse(await textOf(`${ask}/api/v1/query?query=${encodeURIComponent(text)}`)) as {
        data: { result: { metric: Record<string, string>; value: [number, string] }[] };
      };
      return Object.fromEntries(
        data.result.map(({ metric, value }) => [metric.variant ?? metric.job, Number(value[1])]),
      );
    };
    await askAll(url, tokens);
    const seen = await eventually(
      () => query('sum by (variant) (splitter_requests_total{split="appversion"})'),
      (found) => (found.version_1a ?? 0) + (found.version_1b ?? 0) >= tokens.length,
    );
    expect(seen).toEqual({ version_1a: tokens.length - ofB.length, version_1b: ofB.length });
    await eventually(
      () => query('pg_up'),
      (found) => found.postgresql === 1,
    );
  });

  test('each app keeps its own split, also while the other one is changed and applied again', async () => {
    const ofShop = (answers: readonly Answer[]) =>
      answers.filter(({ token, body }) => body !== (isFirst(token, 9000) ? A : B));
    expect(moved(await askAll(url, tokens))).toEqual([]);
    expect(ofShop(await askAll(shop, tokens))).toEqual([]);
    const traffic = new Traffic(url, tokens);
    const toNext = (text: string) => text.replace('share: 90%', 'share: 0%');
    await pods.apply(edited(others, 'shop-splitter', toNext));
    await eventually(
      () => askAll(shop, tokens.slice(0, 40)),
      (answers) => answers.every(({ body }) => body === B),
    );
    await pods.apply(others);
    const answers = await traffic.stop();
    expect(failed(answers)).toEqual([]);
    expect(moved(answers)).toEqual([]);
  });
});

describe('docs/multi-container-pods.md', () => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'multi-container-pods.md'), 'utf8');
  /** Each command with the lines that the page says it prints. */
  const steps = [...text.matchAll(/```sh\n([^`]*)```(?:(?!```)[\s\S])*```text\n([^`]*)```/g)].map(
    ([, commands, lines]) => ({
      command: commands!.trim().split('\n').at(-1)!,
      lines: lines!.trim().split('\n'),
    }),
  );
  const requests = steps.filter(({ command }) => command.includes(' -- wget '));

  test('has a request for each pattern, and the loop', () => {
    expect(requests.map(({ command }) => /http:\/\/(\w+)/.exec(command)![1])).toEqual(
      expect.arrayContaining(['frontend', 'nginx', 'db']),
    );
    expect(steps.length).toBe(requests.length + 1);
  });

  test('the loop prints two lines, and no other', async () => {
    const { lines } = steps.find(({ command }) => command.includes('curl'))!;
    const printed = new Set((await askAll(url, tokens.slice(0, 40))).map(({ body }) => body));
    expect([...printed].sort()).toEqual(lines);
  });

  const hosts = Object.entries(
    Object.groupBy(requests, ({ command }) => /http:\/\/(\w+)/.exec(command)![1]!),
  ).map(([host, asked]) => ({ host, asked: asked! }));
  test.concurrent.each(hosts)('what $host is asked prints what the page says', async ({ asked }) => {
    for (const { command, lines } of asked) {
      const [, image, words] = /--image=(\S+) .* -- (wget .*)$/.exec(command)!;
      const printed = (await pods.run(image!, words!.split(' '))).split('\n');
      expect(
        printed.map((line) => line.trim()),
        command,
      ).toEqual(expect.arrayContaining(lines));
    }
  });
});

describe('a broken ConfigMap and a crash', () => {
  test('the splitter starts again on its last good configuration, says so, and takes the next good one', async () => {
    const broken = (text: string) => text.replace('share: 50%', 'share: 5O%');
    await pods.apply(edited(ambassador, 'frontend-splitter', broken));
    await eventually(
      async () => pods.logs('frontend', 'request-splitter'),
      (log) => log.includes('configuration refused'),
    );
    pods.kill('frontend', 'request-splitter');
    await eventually(
      async () => pods.logs('frontend', 'request-splitter'),
      (log) => log.includes('configuration refused, running on the last good one'),
      60_000,
    );
    const answers = await eventually(
      () => askAll(url, tokens),
      (found) => failed(found).length === 0,
      60_000,
    );
    expect(moved(answers)).toEqual([]);
    const admin = await pods.forward('deploy/frontend', 9901);
    expect(await textOf(`${admin}/metrics`)).toMatch(/^splitter_config_last_good 1$/m);
    await pods.apply(ambassador);
    await eventually(
      () => textOf(`${admin}/metrics`),
      (metrics) => /^splitter_config_last_good 0$/m.test(metrics),
    );
  });
});

describe('several replicas', () => {
  const three = scaled(ambassador, 'frontend', 3);

  test('three frontends behind one Service give each token to the same version', async () => {
    await pods.apply([...three, ...fleet]);
    for (const _round of [1, 2, 3]) {
      const answers = await askAll(url, tokens);
      expect(failed(answers)).toEqual([]);
      expect(moved(answers)).toEqual([]);
    }
  });

  test('k8s/monitoring/fleet: a user of three pods is one user, and every request is counted', async () => {
    const asked = await pods.forward('svc/frontend-fleet', 9902);
    const statusOf = async () => JSON.parse(await textOf(`${asked}/status`)) as FleetStatus;
    const requestsOf = ({ splits: [split] }: FleetStatus) =>
      split!.variants.reduce((sum, { sample }) => sum + sample.requests, 0);
    const newcomers = Array.from({ length: 300 }, (_none, index) => `newcomer-${index}`);
    const sentBefore = new Date().toISOString();
    const before = await eventually(
      statusOf,
      ({ fleet: { answering, askedAt } }) => answering === 3 && askedAt !== null && askedAt > sentBefore,
      60_000,
    );
    for (let visit = 0; visit < 3; visit += 1) await askAll(url, newcomers);
    const after = await eventually(
      statusOf,
      (status) =>
        status.fleet.answering === 3 && requestsOf(status) >= requestsOf(before) + 3 * newcomers.length,
      60_000,
    );
    expect(requestsOf(after) - requestsOf(before)).toBe(3 * newcomers.length);
    expect(after.fleet.pods).toHaveLength(3);
    expect(after.fleet.hashes).toHaveLength(1);
    const users = after.splits[0]!.sample.keys - before.splits[0]!.sample.keys;
    expect(Math.abs(users - newcomers.length)).toBeLessThanOrEqual(5);
    expect(await textOf(`${asked}/metrics`)).toContain('splitter_fleet_pods{state="answering"} 3');
  });

  test("a scale-in from three to one loses no request, nor do rollouts: of direct, where the splitter takes the Service's port, and of before-1.29, where it outlasts the app", async () => {
    const direct = await pods.forward('svc/direct-frontend', 80);
    const old = await pods.forward('svc/old-frontend', 80);
    const traffics = [
      new Traffic(url, tokens),
      new Traffic(direct, tokens, kept()),
      new Traffic(old, tokens, eachItsOwn()),
    ];
    const again = ['direct-frontend', 'old-frontend'].reduce(
      (objects, name) => restarted(objects, 'Deployment', name, 'now'),
      overlays,
    );
    await pods.apply([...ambassador, ...again]);
    for (const traffic of traffics) {
      const answers = await traffic.stop();
      expect(answers.length).toBeGreaterThan(tokens.length);
      expect(failed(answers)).toEqual([]);
      expect(moved(answers)).toEqual([]);
    }
    pods.down([...again, ...fleet]);
  });

  test('all pods replaced at the same time, as for the drain of a node, lose no request', async () => {
    const traffic = new Traffic(url, tokens);
    const drained = ['frontend', 'backend', 'backend-experiment'].reduce(
      (objects, name) => restarted(objects, 'Deployment', name, 'drained'),
      ambassador,
    );
    await pods.apply(drained);
    const answers = await traffic.stop();
    expect(answers.length).toBeGreaterThan(tokens.length);
    expect(failed(answers)).toEqual([]);
    expect(moved(answers)).toEqual([]);
  });
});

describe('production', () => {
  test('replaces the base without a failed request, and sends the experiment to production while no pod of it is there', async () => {
    // Two pods of the backend, one of the experiment: each that comes and goes twice costs half a minute.
    const production = scaled(objectsOf('k8s/ambassador/overlays/production'), 'backend-experiment', 1);
    // As with `kubectl apply -k`: the names of new Services are there before a changed ConfigMap reaches the pods.
    await pods.apply(production.filter(({ kind }) => kind === 'Service'));
    const traffic = new Traffic(url, tokens);
    await pods.apply(production);
    await pods.apply(scaled(production, 'backend-experiment', 0));
    await traffic.until(({ token, body }) => ofB.includes(token) && body === A);
    const meanwhile = await askAll(url, tokens);
    expect(failed(meanwhile)).toEqual([]);
    await pods.apply(production);
    await traffic.until(({ token, body }) => ofB.includes(token) && body === B);
    const answers = await traffic.stop();
    expect(failed(answers)).toEqual([]);
    expect(answers.filter(({ token, body }) => bodyOf(token) === A && body !== A)).toEqual([]);
  });
});
