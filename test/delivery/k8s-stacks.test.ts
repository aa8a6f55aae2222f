// What must hold between manifests: stacks of one namespace do not overwrite each other, components go with every form
// of the ambassador and with an app of one's own, and what adds the splitter adds the same container everywhere.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IContainer } from 'kubernetes-models/v1/Container';
import { afterAll, describe, expect, test } from 'vitest';
import {
  buildText,
  KUSTOMIZATIONS,
  kustomizeMissing,
  type Manifest,
  readManifests,
} from '../support/kustomize.ts';
import { containersOf, nameOf, podsOf, problemsOf } from '../support/manifests.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

if (kustomizeMissing !== undefined) {
  console.warn(`k8s-stacks.test.ts: the kustomizations are not built: ${kustomizeMissing}`);
}

/** Stacks of different names meet in a namespace; the forms of one replace each other there. */
const stackOf = (folder: string) => folder.split('/')[1]!;
const idOf = ({ apiVersion, kind, metadata }: Manifest) =>
  `${apiVersion.split('/')[0]} ${kind} ${metadata.name}`;

describe.skipIf(kustomizeMissing !== undefined)('stacks in one namespace', () => {
  // Parts of a stack are not applied by themselves.
  const applied = KUSTOMIZATIONS.filter((folder) => !folder.endsWith('/nginx-conf'));
  const built = new Map(
    kustomizeMissing === undefined
      ? applied.map((folder) => [folder, readManifests(buildText(folder))] as const)
      : [],
  );

  test('no object of one stack has the name of an object of another stack', () => {
    const owners = new Map<string, Set<string>>();
    for (const [folder, manifests] of built) {
      for (const one of manifests) {
        const known = owners.get(idOf(one)) ?? new Set();
        owners.set(idOf(one), known.add(stackOf(folder)));
      }
    }
    expect([...owners].filter(([, stacks]) => stacks.size > 1)).toEqual([]);
  });

  test('the policy that a component brings says the same in every app that includes it', () => {
    const components = ['k8s/components/network-policy'];
    const [byItself] = buildOf({ resources: [], components });
    const inApp = built.get('k8s/your-app')!.find((one) => idOf(one) === idOf(byItself!));
    expect(inApp).toEqual(byItself);
  });

  test('no selector of a workload, Service, policy or budget selects a pod of another stack', () => {
    const pods = [...built].flatMap(([folder, manifests]) =>
      podsOf(manifests).map((pod) => ({ stack: stackOf(folder), pod })),
    );
    const wrong: string[] = [];
    for (const [folder, manifests] of built) {
      // To ask the pods of another stack is what it is for.
      if (folder === 'k8s/monitoring/fleet') continue;
      for (const one of manifests) {
        const { selector, podSelector } = (one.spec ?? {}) as {
          selector?: { matchLabels?: Record<string, string> } & Record<string, unknown>;
          podSelector?: { matchLabels?: Record<string, string> };
        };
        const wanted =
          one.kind === 'Service'
            ? (selector as Record<string, string> | undefined)
            : (selector?.matchLabels ?? podSelector?.matchLabels);
        if (wanted === undefined || wanted['request-splitter/sidecar'] !== undefined) continue;
        const hit = pods.filter(
          ({ stack, pod }) =>
            stack !== stackOf(folder) &&
            Object.entries(wanted).every(([label, value]) => pod.labels[label] === value),
        );
        if (hit.length > 0) wrong.push(`${folder} ${nameOf(one)}`);
        // An app that has the same name and is not ours is not selected either.
        expect(wanted['app.kubernetes.io/instance'], `${folder} ${nameOf(one)}`).toBe(
          folder === 'k8s/your-app' ? 'shop' : stackOf(folder),
        );
      }
    }
    expect(wrong).toEqual([]);
  });

  test('every object says what it is, whose, which version, and what manages it', () => {
    const wanted = ['name', 'instance', 'component', 'part-of', 'version', 'managed-by'];
    const lacking = [...built]
      .filter(([folder]) => !['monitoring', 'injection'].includes(stackOf(folder)))
      .flatMap(([folder, manifests]) =>
        manifests.flatMap((one) =>
          wanted
            .filter((label) => !one.metadata.labels?.[`app.kubernetes.io/${label}`])
            .map((label) => `${folder} ${nameOf(one)} ${label}`),
        ),
      );
    expect(lacking).toEqual([]);
    const { version } = JSON.parse(read('package.json')) as { version: string };
    const versions = [...built.values()]
      .flat()
      .map(({ metadata }) => metadata.labels?.['app.kubernetes.io/version']);
    expect(new Set(versions.filter((label) => label !== undefined))).toEqual(new Set([version]));
  });

  test('every workload has an account of its own, which has no token', () => {
    for (const [folder, manifests] of built) {
      const accounts = manifests.filter(({ kind }) => kind === 'ServiceAccount');
      expect(
        accounts.filter(
          (one) =>
            (one as object as { automountServiceAccountToken?: boolean }).automountServiceAccountToken !==
            false,
        ),
      ).toEqual([]);
      const used = podsOf(manifests).map(({ spec }) => spec.serviceAccountName);
      expect(used, folder).toEqual([...new Set(used)]);
      expect(accounts.map(({ metadata }) => metadata.name).sort(), folder).toEqual(used.toSorted());
    }
  });

  test('the namespace enforces the profile that every pod meets', () => {
    const [namespace] = built.get('k8s/namespace')!;
    expect(namespace!.metadata.labels).toMatchObject({
      'pod-security.kubernetes.io/enforce': 'restricted',
      'pod-security.kubernetes.io/warn': 'restricted',
    });
  });

  test('the production forms of the sidecar and the adapter are closed, budgeted, and without an example password', () => {
    for (const folder of ['k8s/sidecar/overlays/production', 'k8s/adapter/overlays/production']) {
      const kinds = built.get(folder)!.map(({ kind }) => kind);
      expect(kinds, folder).toEqual(expect.arrayContaining(['NetworkPolicy', 'PodDisruptionBudget']));
      expect(kinds, folder).not.toContain('Secret');
    }
  });

  test('only k8s/monitoring and what includes it has a PodMonitor', () => {
    const withMonitor = [...built]
      .filter(([, manifests]) => manifests.some(({ kind }) => kind === 'PodMonitor'))
      .map(([folder]) => folder);
    expect(withMonitor).toEqual(['k8s/monitoring']);
  });
});

/** What a kustomization that is only written here yields. */
const scratch = join(root, 'node_modules', '.cache', 'request-splitter', `stacks-${process.pid}`);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let count = 0;
function buildOf(
  lists: { resources: readonly string[]; components?: readonly string[] },
  files: Record<string, string> = {},
) {
  const folder = join(scratch, String(++count));
  mkdirSync(folder, { recursive: true });
  const up = '../../../../../';
  const paths = (names: readonly string[]) =>
    names.map((name) => (name.startsWith('k8s/') ? up + name : name));
  writeFileSync(
    join(folder, 'kustomization.yaml'),
    JSON.stringify({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: paths(lists.resources),
      components: paths(lists.components ?? []),
    }),
  );
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return readManifests(buildText(folder.slice(root.length + 1)));
}

describe.skipIf(kustomizeMissing !== undefined)('components', () => {
  const all = (form: string) => [form, 'k8s/sidecar/overlays/split', 'k8s/adapter', 'k8s/monitoring'];

  test.each(KUSTOMIZATIONS.filter((folder) => folder.startsWith('k8s/ambassador/overlays/')))(
    '%s builds into one kustomization with the other stacks and the monitoring',
    (form) => {
      const together = buildOf({ resources: all(form) });
      expect(new Set(together.map(idOf)).size).toBe(together.length);
      expect(together.flatMap(problemsOf)).toEqual([]);
    },
  );

  test.each([
    'k8s/ambassador',
    'k8s/ambassador/overlays/direct',
    'k8s/ambassador/overlays/drop-in',
    'k8s/ambassador/overlays/before-1.29',
    'k8s/ambassador/overlays/nginx',
  ])('the components of production and the monitoring go with %s', (form) => {
    const together = buildOf({
      resources: [form],
      components: ['k8s/ambassador/components/production', 'k8s/components/monitoring'],
    });
    const kinds = new Set(together.map(({ kind }) => kind));
    for (const kind of ['PodDisruptionBudget', 'HorizontalPodAutoscaler', 'NetworkPolicy', 'PodMonitor']) {
      expect(kinds).toContain(kind);
    }
    for (const one of together.filter(({ kind }) => kind === 'Deployment')) {
      const { template } = one.spec as { template: { spec: { topologySpreadConstraints?: unknown[] } } };
      expect(template.spec.topologySpreadConstraints, nameOf(one)).toHaveLength(2);
    }
  });

  const app = (kind: string, labels: string, more = '') => `
apiVersion: apps/v1
kind: ${kind}
metadata: {name: own, labels: {app.kubernetes.io/name: own${labels}}}
spec:
  selector: {matchLabels: {app.kubernetes.io/name: own}}
  ${kind === 'StatefulSet' ? 'serviceName: own' : ''}
  template:
    metadata: {labels: {app.kubernetes.io/name: own}}
    spec:
      ${more}
      containers: [{name: own, image: "own:1"}]
      volumes: [{name: splitter-config, configMap: {name: own-splitter}}]
`;
  const inject = ', request-splitter/inject: "true"';
  const firstOf = (text: string) => {
    const [one] = buildOf(
      { resources: ['own.yaml'], components: ['k8s/components/splitter'] },
      { 'own.yaml': text },
    );
    expect(problemsOf(one!)).toEqual([]);
    return podsOf([one!])[0]!;
  };

  test.each([
    ['without init containers', ''],
    ['with init containers', 'initContainers: [{name: migrate, image: "own:1"}]'],
  ])('the splitter is the first container of a labelled Deployment %s', (_title, more) => {
    const { spec, labels } = firstOf(app('Deployment', inject, more));
    expect(spec.initContainers!.map(({ name }) => name)).toEqual(
      more === '' ? ['request-splitter'] : ['request-splitter', 'migrate'],
    );
    expect(spec.containers.map(({ name }) => name)).toEqual(['own']);
    expect(labels['request-splitter/sidecar']).toBe('true');
    const volumes = Object.fromEntries(spec.volumes!.map((volume) => [volume.name, volume]));
    expect(volumes['splitter-config']).toMatchObject({ configMap: { name: 'own-splitter' } });
    for (const { name } of spec.initContainers![0]!.volumeMounts!)
      expect(Object.keys(volumes)).toContain(name);
  });

  test('a labelled StatefulSet gets the splitter too', () => {
    expect(firstOf(app('StatefulSet', inject)).spec.initContainers!.map(({ name }) => name)).toEqual([
      'request-splitter',
    ]);
  });

  test('scrape-annotations marks the pods of labelled workloads alone, with the port and path of the admin port', () => {
    const annotationsOf = (labels: string) => {
      const [one] = buildOf(
        { resources: ['own.yaml'], components: ['k8s/components/scrape-annotations'] },
        { 'own.yaml': app('Deployment', labels) },
      );
      return (one!.spec as { template: { metadata: { annotations?: object } } }).template.metadata
        .annotations;
    };
    expect(annotationsOf('')).toBeUndefined();
    expect(annotationsOf(inject)).toEqual({
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': '9901',
      'prometheus.io/path': '/metrics',
    });
  });

  test('a Deployment without the label, or with another value of it, stays as it is', () => {
    for (const labels of ['', ', request-splitter/inject: "false"']) {
      expect(firstOf(app('Deployment', labels)).spec.initContainers).toBeUndefined();
    }
  });
});

/**
 * The literals of a CEL expression as JSON: `Object.spec.x{a: 1}` and `{"a": 1}` both as objects. It reads what
 * k8s/injection/policy.yaml writes and no more.
 */
function literalOf(text: string): unknown {
  const json = text
    .replace(/\b(?:Object|JSONPatch)[\w.]*\{/g, '{')
    .replace(/([{,]\s*)(\w+):/g, '$1"$2":')
    .replace(/'([^']*)'/g, '"$1"');
  return JSON.parse(json);
}

describe.skipIf(kustomizeMissing !== undefined)('the policy that adds the splitter in a cluster', () => {
  const objects = kustomizeMissing === undefined ? readManifests(buildText('k8s/injection')) : [];
  const { mutations, matchConstraints, failurePolicy } = (objects.find(
    ({ kind }) => kind === 'MutatingAdmissionPolicy',
  )?.spec ?? {}) as {
    failurePolicy: string;
    matchConstraints: { objectSelector: unknown };
    mutations: { jsonPatch?: { expression: string }; applyConfiguration?: { expression: string } }[];
  };
  const splitter = (): IContainer =>
    podsOf(readManifests(buildText('k8s/ambassador')))
      .flatMap(containersOf)
      .find(({ name }) => name === 'request-splitter')!;

  test('it is bound, concerns labelled pods alone, and refuses a pod that it cannot change', () => {
    expect(failurePolicy).toBe('Fail');
    expect(matchConstraints.objectSelector).toEqual({ matchLabels: { 'request-splitter/inject': 'true' } });
    const binding = objects.find(({ kind }) => kind === 'MutatingAdmissionPolicyBinding')!;
    expect((binding.spec as { policyName: string }).policyName).toBe(
      objects.find(({ kind }) => kind === 'MutatingAdmissionPolicy')!.metadata.name,
    );
  });

  test("its container is the component's, field by field, and goes first", () => {
    const text = mutations[0]!.jsonPatch!.expression;
    const [container, label] = literalOf(text.slice(text.indexOf('+') + 1)) as {
      path: string;
      value: unknown;
    }[];
    expect(container!.path).toBe('/spec/initContainers/0');
    expect(container!.value).toEqual(splitter());
    expect(label).toEqual({
      op: 'add',
      path: '/metadata/labels/request-splitter~1sidecar',
      value: 'true',
    });
  });

  test("the volume that it adds is the component's", () => {
    const added = literalOf(mutations[1]!.applyConfiguration!.expression) as { spec: { volumes: unknown[] } };
    const [pod] = podsOf(
      readManifests(buildText('k8s/ambassador')).filter((one) => nameOf(one) === 'Deployment/frontend'),
    );
    expect(added.spec.volumes).toEqual(pod!.spec.volumes!.filter(({ name }) => name === 'splitter-state'));
  });

  test('the container of the split sidecar stack is the same where it is not a native sidecar', () => {
    const { restartPolicy: _, lifecycle: __, ...rest } = splitter();
    const { lifecycle: ___, ...other } = podsOf(readManifests(buildText('k8s/sidecar/overlays/split')))
      .flatMap(containersOf)
      .find(({ name }) => name === 'request-splitter')!;
    expect(other).toEqual(rest);
  });
});

const scripts = ['k8s/kind.sh', 'k8s/adapter/base/10-exporter.sh'];
const checker = spawnSync('shellcheck', ['--version']).status === 0;
if (!checker) console.warn('k8s-stacks.test.ts: the scripts are not checked: `shellcheck` is not installed');

describe('the scripts', () => {
  test.skipIf(!checker)('shellcheck has nothing against them', () => {
    const { stdout } = spawnSync('shellcheck', ['--shell=sh', ...scripts], { cwd: root, encoding: 'utf8' });
    expect(stdout).toBe('');
  });

  test('the kind script takes the name of the image from the manifests, and applies what is there', () => {
    const text = read('k8s/kind.sh');
    expect(() => execFileSync('sh', ['-n', 'k8s/kind.sh'], { cwd: root })).not.toThrow();
    for (const stack of /for stack in ([\w ]+);/.exec(text)![1]!.split(' ')) {
      expect(existsSync(join(root, 'k8s', stack, 'kustomization.yaml')), stack).toBe(true);
    }
    const expression = /sed -n '([^']+)'/.exec(text)![1]!;
    const image = execFileSync('sed', ['-n', expression, 'k8s/components/splitter/sidecar.yaml'], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(image).toMatch(/^request-splitter:[\d.]+\n$/);
  });

  test('k8s/README.md names every folder, and nothing that is not there', () => {
    const text = read('k8s/README.md');
    const linked = [...text.matchAll(/\]\(([\w./-]+)\)/g)].map(([, path]) => path!);
    expect(linked.filter((path) => !existsSync(join(root, 'k8s', path)))).toEqual([]);
    const folders = globSync('k8s/*/', { cwd: root }).map((path) => path.split('/')[1]!);
    expect(folders.filter((folder) => !linked.includes(folder))).toEqual([]);
    const overlays = globSync('k8s/ambassador/overlays/*', { cwd: root }).map(
      (path) => path.split('/').at(-1)!,
    );
    expect(overlays.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});
