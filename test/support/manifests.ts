// Checks objects as the Kubernetes API does, field by field: models of its schema for values, the compiler for
// fields that do not exist. Also finds the pods in the output of kustomize. Needs no cluster.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { MutatingAdmissionPolicy } from 'kubernetes-models/admissionregistration.k8s.io/v1/MutatingAdmissionPolicy';
import { MutatingAdmissionPolicyBinding } from 'kubernetes-models/admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { IContainer } from 'kubernetes-models/v1/Container';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import type { Manifest } from './kustomize.ts';

const root = join(import.meta.dirname, '..', '..');

/** The model that checks a kind, and the module that has its type as `I<kind>`. A kind that is not here fails. */
const MODELS: Readonly<
  Record<string, readonly [model: new (data: never) => { validate(): void }, from: string]>
> = {
  'admissionregistration.k8s.io/v1 MutatingAdmissionPolicy': [
    MutatingAdmissionPolicy,
    'kubernetes-models/admissionregistration.k8s.io/v1/MutatingAdmissionPolicy',
  ],
  'admissionregistration.k8s.io/v1 MutatingAdmissionPolicyBinding': [
    MutatingAdmissionPolicyBinding,
    'kubernetes-models/admissionregistration.k8s.io/v1/MutatingAdmissionPolicyBinding',
  ],
  'apps/v1 Deployment': [Deployment, 'kubernetes-models/apps/v1/Deployment'],
  'apps/v1 StatefulSet': [StatefulSet, 'kubernetes-models/apps/v1/StatefulSet'],
  'autoscaling/v2 HorizontalPodAutoscaler': [
    HorizontalPodAutoscaler,
    'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler',
  ],
  'monitoring.coreos.com/v1 PodMonitor': [
    PodMonitor,
    '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor',
  ],
  'monitoring.coreos.com/v1 PrometheusRule': [
    PrometheusRule,
    '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule',
  ],
  'networking.k8s.io/v1 NetworkPolicy': [
    NetworkPolicy,
    'kubernetes-models/networking.k8s.io/v1/NetworkPolicy',
  ],
  'policy/v1 PodDisruptionBudget': [PodDisruptionBudget, 'kubernetes-models/policy/v1/PodDisruptionBudget'],
  'v1 ConfigMap': [ConfigMap, 'kubernetes-models/v1/ConfigMap'],
  'v1 Namespace': [Namespace, 'kubernetes-models/v1/Namespace'],
  'v1 PersistentVolumeClaim': [PersistentVolumeClaim, 'kubernetes-models/v1/PersistentVolumeClaim'],
  'v1 Secret': [Secret, 'kubernetes-models/v1/Secret'],
  'v1 Service': [Service, 'kubernetes-models/v1/Service'],
  'v1 ServiceAccount': [ServiceAccount, 'kubernetes-models/v1/ServiceAccount'],
};
const kindOf = (manifest: Manifest) => `${manifest.apiVersion} ${manifest.kind}`;
export const nameOf = (manifest: Manifest) => `${manifest.kind}/${manifest.metadata.name}`;

/** What the model of its kind says against it, field by field; empty when nothing. */
export function problemsOf(manifest: Manifest): string[] {
  const entry = MODELS[kindOf(manifest)];
  if (entry === undefined) return [`${kindOf(manifest)} has no model in this test`];
  try {
    new entry[0](manifest as never).validate();
    return [];
  } catch (cause) {
    return [`${nameOf(manifest)}: ${(cause as Error).message}`];
  }
}

const scratch = join(root, 'node_modules', '.cache', 'request-splitter', `k8s-${process.pid}`);

/**
 * The models let an unknown field pass, as an API server of old did; the compiler does not. Each object becomes a
 * literal of its type, and what `tsc` says against it comes back, with the object's name. Empty when nothing.
 */
export function unknownFields(manifests: readonly Manifest[]): string[] {
  mkdirSync(scratch, { recursive: true });
  const kinds = [...new Set(manifests.map(kindOf))].sort();
  const lines = kinds.map((kind) => `import type { I${kind.split(' ')[1]} } from '${MODELS[kind]![1]}';`);
  const at = new Map<number, string>();
  manifests.forEach((manifest, index) => {
    const { status: _, ...stated } = manifest as Manifest & { status?: unknown };
    at.set(lines.length + 1, nameOf(manifest));
    lines.push(`export const m${index}: I${manifest.kind} = ${JSON.stringify(stated)};`);
  });
  writeFileSync(join(scratch, 'literals.ts'), lines.join('\n'));
  const options = {
    module: 'nodenext',
    target: 'es2024',
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    types: [],
  };
  writeFileSync(
    join(scratch, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, files: ['literals.ts'] }),
  );
  try {
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    execFileSync(process.execPath, [tsc, '-p', scratch, '--pretty', 'false'], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    return [];
  } catch (cause) {
    const output = String((cause as { stdout?: unknown }).stdout);
    return output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) =>
        line.replace(/^.*literals\.ts\((\d+),\d+\)/, (_whole, row) => at.get(Number(row)) ?? 'literal'),
      );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

export interface Pod {
  readonly name: string;
  readonly spec: IPodSpec;
  readonly labels: Readonly<Record<string, string>>;
}

export const podsOf = (manifests: readonly Manifest[]): Pod[] =>
  manifests
    .filter((manifest) => manifest.kind === 'Deployment' || manifest.kind === 'StatefulSet')
    .map((manifest) => {
      const { template } = manifest.spec as {
        template: { metadata: { labels: Record<string, string> }; spec: IPodSpec };
      };
      return { name: nameOf(manifest), spec: template.spec, labels: template.metadata.labels };
    });
export const containersOf = (pod: Pod): IContainer[] => [
  ...(pod.spec.initContainers ?? []),
  ...pod.spec.containers,
];
