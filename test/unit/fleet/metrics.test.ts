// The metrics of a fleet: what a scrape reads, and that docs/fleet.md lists the same.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FleetGuards } from '../../../src/fleet/guards.ts';
import { FLEET_FAMILIES, fleetMetrics } from '../../../src/fleet/metrics.ts';
import { FleetView } from '../../../src/fleet/view.ts';
import { FleetPodModel } from '../../support/fleet-pods.ts';
import { randomHashes } from '../../support/random.ts';

const DOCUMENT = new URL('../../../docs/fleet.md', import.meta.url);

test('a scrape has users once, pods by state, configurations and the level of each split', async () => {
  const pods = ['1', '2'].map((id) => new FleetPodModel(id, `10.0.0.${id}:9901`));
  for (const hash of randomHashes(2000, 1))
    for (const pod of pods) pod.visit(hash, hash >= 2 ** 31 && hash % 4 === 0);
  const view = new FleetView();
  view.take([...pods.map((pod) => pod.answer()), new FleetPodModel('3', '10.0.0.3:9901').silent()]);
  const { text } = await fleetMetrics(view, new FleetGuards());
  const lines = text.split('\n');
  expect(lines).toContain('splitter_fleet_pods{state="answering"} 2');
  expect(lines).toContain('splitter_fleet_pods{state="silent"} 1');
  expect(lines).toContain('splitter_fleet_configurations 1');
  expect(lines).toContain('splitter_fleet_verdict_level{split="appversion"} 2');
  expect(lines).toContain('splitter_fleet_sample_ratio_mismatch{split="appversion"} 0');
  expect(lines).toContain('# TYPE splitter_fleet_requests_total counter');
  const keys = lines
    .filter((line) => line.startsWith('splitter_fleet_unique_keys{'))
    .map((line) => Number(line.split(' ')[1]));
  expect(Math.abs(keys[0]! + keys[1]! - 2000)).toBeLessThan(20);
  const requests = lines
    .filter((line) => line.startsWith('splitter_fleet_requests_total{'))
    .map((line) => Number(line.split(' ')[1]));
  expect(requests[0]! + requests[1]!).toBe(4000);
});

test('docs/fleet.md has every family', () => {
  const text = readFileSync(DOCUMENT, 'utf8');
  for (const { name, type, labels, help } of FLEET_FAMILIES) {
    const shown = labels.map((label) => `\`${label}\``).join(' ');
    expect(text).toContain(`| \`${name}\` | ${type} | ${shown} | ${help} |`);
  }
});
