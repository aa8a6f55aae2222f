// The same objects with one thing changed, as an operator changes them. Pure.
import type { Manifest } from '../../support/kustomize.ts';

type Change = (manifest: Manifest) => Manifest;

/** One object changed by kind and name; throws when it is not among them, so that no test changes nothing. */
function changed(manifests: readonly Manifest[], kind: string, name: string, change: Change): Manifest[] {
  const isMeant = (one: Manifest) => one.kind === kind && one.metadata.name === name;
  if (!manifests.some(isMeant))
    throw new Error(`no ${kind} ${name} among ${manifests.map((one) => one.kind)}`);
  return manifests.map((one) => (isMeant(one) ? change(structuredClone(one) as Manifest) : one));
}

/** As `kubectl rollout restart`: new pods in place of the old ones, nothing else. */
export function restarted(
  manifests: readonly Manifest[],
  kind: 'Deployment' | 'StatefulSet',
  name: string,
  at: string,
): Manifest[] {
  return changed(manifests, kind, name, (workload) => {
    const { template } = workload.spec as {
      template: { metadata: { annotations?: Record<string, string> } };
    };
    template.metadata.annotations = {
      ...template.metadata.annotations,
      'kubectl.kubernetes.io/restartedAt': at,
    };
    return workload;
  });
}

/** The same objects under another name: whatever is or begins with `name` is or begins with `other`. */
export function renamed(manifests: readonly Manifest[], name: string, other: string): Manifest[] {
  return JSON.parse(JSON.stringify(manifests).replaceAll(`"${name}`, `"${other}`)) as Manifest[];
}

/** As `kubectl scale`. */
export function scaled(manifests: readonly Manifest[], name: string, replicas: number): Manifest[] {
  return changed(manifests, 'Deployment', name, (workload) => {
    (workload.spec as { replicas?: number }).replicas = replicas;
    return workload;
  });
}

/** As `kubectl edit configmap`: the text of its one file, changed. */
export function edited(
  manifests: readonly Manifest[],
  name: string,
  edit: (text: string) => string,
): Manifest[] {
  return changed(manifests, 'ConfigMap', name, (map) => {
    const data = map.data as Record<string, string>;
    for (const [file, text] of Object.entries(data)) data[file] = edit(text);
    return map;
  });
}
