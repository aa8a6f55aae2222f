// What the pod tests need of a cluster, and which one this machine has. A cluster plays Kubernetes objects in real
// containers with real Services; how it does so is its own affair.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../support/kustomize.ts';
import { Harness } from './harness.ts';
import { findEngine, Plain } from './plain.ts';

export interface Cluster {
  /** What it is, for the report. */
  readonly name: string;
  /** Installs and builds what it needs, and the image of this repository under this tag. */
  prepare(imageTag: string): void;
  /** As `kubectl apply`, then waits until every pod is ready. Throws with what the pods said when one is not. */
  apply(manifests: readonly Manifest[]): Promise<void>;
  /**
   * As `kubectl port-forward`, but one to a Service goes through it, so that it survives a rollout. Ends with the Service.
   * Base URL that this machine reaches; one to a deployment is that of one of its pods.
   */
  forward(target: `svc/${string}` | `deploy/${string}`, port: number): Promise<string>;
  /** Kills the container's process with SIGKILL; the cluster starts it again by its own rules. */
  kill(app: string, container: string): void;
  /** What the container has written so far. */
  logs(app: string, container: string): string;
  /** Runs a program in the container; throws when it fails. */
  exec(app: string, container: string, command: readonly string[]): string;
  /** As `kubectl run --rm -i`: a pod for one command; what it prints, on both streams. Rejects when it fails. */
  run(image: string, command: readonly string[]): Promise<string>;
  /** Takes these objects away at once, their pods and what was forwarded to them; without a list everything. */
  down(manifests?: readonly Manifest[]): void;
  /** Two test files may use it at the same time, each with objects of other names. */
  readonly isShared: boolean;
}

let found: Cluster | string | undefined;

/** The cluster of this machine, or the sentence why there is none. PODS_ENGINE=docker or podman passes the harness by. */
export function findCluster(): Cluster | string {
  found ??= choose();
  return found;
}

function choose(): Cluster | string {
  const wanted = process.env.PODS_ENGINE;
  const folder =
    process.env.PODS_HARNESS ?? join(import.meta.dirname, '..', '..', '..', '..', 'shared', 'pods');
  if (wanted === undefined && existsSync(join(folder, 'play'))) return new Harness(folder);
  const engine = wanted ?? findEngine();
  if (engine !== undefined) return new Plain(engine);
  return `no pods can be played here: expected a harness with the command play in PODS_HARNESS or ${folder}, or docker or podman that answer; got none of them`;
}

/** The cluster that the global setup has prepared. */
export function cluster(): Cluster {
  const mine = findCluster();
  if (typeof mine === 'string') throw new Error(mine);
  return mine;
}
