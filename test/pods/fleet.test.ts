// k8s/monitoring/fleet beside three replicas of the frontend: users that come to all of them are counted once, every pod
// answers, and a rollout is a change of addresses.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildText, readManifests } from '../support/kustomize.ts';
import { scaled } from './support/change.ts';
import { cluster } from './support/cluster.ts';
import { eventually, textOf } from './support/look.ts';
import { askAll } from './support/traffic.ts';

const pods = cluster();
const objectsOf = (folder: string) => readManifests(buildText(folder));
const frontend = objectsOf('k8s/ambassador');
const tokens = Array.from({ length: 300 }, (_none, index) => `token-${index}`);

interface Status {
  readonly fleet: {
    readonly answering: number;
    readonly pods: readonly unknown[];
    readonly hashes: readonly string[];
  };
  readonly splits: readonly {
    readonly sample: { readonly keys: number };
    readonly variants: readonly {
      readonly uniqueKeys: number;
      readonly sample: { readonly requests: number };
    }[];
  }[];
}

let url = '';
let fleet = '';

beforeAll(async () => {
  await pods.apply([...scaled(frontend, 'frontend', 3), ...objectsOf('k8s/monitoring/fleet')]);
  url = await pods.forward('svc/frontend', 80);
  fleet = await pods.forward('svc/frontend-fleet', 9902);
});
afterAll(() => pods.down());

const statusOf = async () => JSON.parse(await textOf(`${fleet}/status`)) as Status;

test('a user of three pods is one user, and every request is counted', async () => {
  for (let visit = 0; visit < 3; visit += 1) await askAll(url, tokens);
  const { fleet: asked, splits } = await eventually(
    statusOf,
    ({ fleet: { answering }, splits: [split] }) =>
      answering === 3 &&
      (split?.variants ?? []).reduce((sum, { sample }) => sum + sample.requests, 0) === 3 * tokens.length,
    60_000,
  );
  expect(asked.pods).toHaveLength(3);
  expect(asked.hashes).toHaveLength(1);
  expect(Math.abs(splits[0]!.sample.keys - tokens.length)).toBeLessThanOrEqual(3);
  expect(await textOf(`${fleet}/metrics`)).toContain('splitter_fleet_pods{state="answering"} 3');
});
