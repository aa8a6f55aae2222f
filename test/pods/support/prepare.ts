// Runs once before all pod tests: finds the cluster, builds the image, and ends with a word and a non-zero exit code
// where there is no cluster. Afterwards everything is taken away.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { kustomizeMissing } from '../../support/kustomize.ts';
import { findCluster } from './cluster.ts';

const manifest = join(import.meta.dirname, '..', '..', '..', 'package.json');

export function setup(): void {
  const found = findCluster();
  if (typeof found === 'string') throw new Error(found);
  if (kustomizeMissing !== undefined) throw new Error(`the pods cannot be put together: ${kustomizeMissing}`);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  console.log(`playing the pods with ${found.name}; building request-splitter:${version}`);
  found.prepare(`request-splitter:${version}`);
}

export function teardown(): void {
  const found = findCluster();
  if (typeof found !== 'string') found.down();
}
