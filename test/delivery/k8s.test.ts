// What every manifest under k8s/ must be: valid for the current Kubernetes API down to the last field name, as
// restricted as the Pod Security profile of that name asks, pinned, probed and labelled. Nothing runs here.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IContainer } from 'kubernetes-models/v1/Container';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { translateNginx } from '../../src/config/load.ts';
import type { Config } from '../../src/config/options/document.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { formatProblems } from '../../src/config/problem.ts';
import {
  buildText,
  COMPONENTS,
  KUSTOMIZATIONS,
  kustomizeMissing,
  type Manifest,
  readManifests,
} from '../support/kustomize.ts';
import { containersOf, nameOf, type Pod, podsOf, problemsOf, unknownFields } from '../support/manifests.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const version = (JSON.parse(read('package.json')) as { version: string }).version;

describe('the files that kustomize puts together', () => {
  const resources = [...KUSTOMIZATIONS, ...COMPONENTS].flatMap((folder) => {
    const { resources: names = [] } = parse(read(`${folder}/kustomization.yaml`)) as { resources?: string[] };
    return names.filter((name) => name.endsWith('.yaml')).map((name) => `${folder}/${name}`);
  });

  test('each is valid for the Kubernetes API', () => {
    expect(resources.length).toBeGreaterThan(0);
    expect(resources.flatMap((file) => readManifests(read(file)).flatMap(problemsOf))).toEqual([]);
  });

  test('none has a field that the Kubernetes API does not know', () => {
    expect(unknownFields(resources.flatMap((file) => readManifests(read(file))))).toEqual([]);
  });

  test('a misspelt field and a wrong type are found by these very checks', () => {
    const service = (port: unknown, extra: object) =>
      ({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 's' },
        spec: { ports: [{ port }], ...extra },
      }) as Manifest;
    expect(problemsOf(service('80', {}))).toEqual(['Service/s: data/spec/ports/0/port must be integer']);
    expect(unknownFields([service(80, { selectr: { a: 'b' } })]).join()).toMatch(
      /Service\/s.*"selectr.*does not exist/,
    );
  });

  test.each(globSync('k8s/**/splitter.yaml', { cwd: root }).sort())(
    '%s is a configuration that runs',
    (file) => {
      const { problems = [] } = parseConfig(read(file), file);
      expect(formatProblems(problems)).toEqual([]);
    },
  );

  test('the nginx.conf of the old ambassador is one that request-splitter runs as it is, with the same split', async () => {
    const { config, problems = [] } = await translateNginx(
      join(root, 'k8s/ambassador/nginx-conf/nginx.conf'),
    );
    expect(formatProblems(problems)).toEqual([]);
    const ours = parseConfig(read('k8s/ambassador/base/splitter.yaml'), 'splitter.yaml').config!;
    const sharesOf = ({ splits }: Config) =>
      [...splits.values()].map(({ key, variants }) => [
        key,
        ...variants.map(({ name, share }) => [name, share]),
      ]);
    expect(sharesOf(config!)).toEqual(sharesOf(ours));
  });

  test('docs/kubernetes.md names every overlay, nothing that is not there, and the version that is', () => {
    const text = read('docs/kubernetes.md');
    const overlays = KUSTOMIZATIONS.filter((folder) => folder.includes('ambassador/overlays/'));
    expect(
      overlays.filter((folder) => !text.includes(`| \`${folder.slice('k8s/ambassador/'.length)}\` |`)),
    ).toEqual([]);
    const named = [...text.matchAll(/`?\b((?:k8s|overlays)\/[\w./-]*\w)/g)].map(([, path]) =>
      path!.startsWith('overlays/') ? `k8s/ambassador/${path}` : path!,
    );
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(new Set([...text.matchAll(/request-splitter:(\d[\w.]*\w)/g)].map(([, tag]) => tag))).toEqual(
      new Set([version]),
    );
  });

  test('every file under k8s/ belongs to a kustomization', () => {
    const texts = [...KUSTOMIZATIONS, ...COMPONENTS].map(
      (folder) => [folder, read(`${folder}/kustomization.yaml`)] as const,
    );
    const orphans = globSync('k8s/**/*.*', { cwd: root })
      .filter(
        (file) =>
          !file.endsWith('/kustomization.yaml') &&
          file !== 'k8s/kind.sh' &&
          /\.(yaml|vcl|conf|sh)$/.test(file),
      )
      .filter(
        (file) =>
          !texts.some(
            ([folder, text]) => file.startsWith(`${folder}/`) && text.includes(file.slice(folder.length + 1)),
          ),
      );
    expect(orphans).toEqual([]);
  });
});

if (kustomizeMissing !== undefined) {
  console.warn(`k8s.test.ts: the kustomizations are not built: ${kustomizeMissing}`);
}

describe.skipIf(kustomizeMissing !== undefined)('what kustomize builds', () => {
  const built = new Map<string, Manifest[]>(
    kustomizeMissing === undefined
      ? KUSTOMIZATIONS.map((folder) => [folder, readManifests(buildText(folder))])
      : [],
  );
  const everything = [...built].flatMap(([folder, manifests]) =>
    manifests.map((manifest) => [folder, manifest] as const),
  );
  const everyPod = [...built].flatMap(([folder, manifests]) =>
    podsOf(manifests).map((pod) => [folder, pod] as const),
  );
  const everyContainer = everyPod.flatMap(([folder, pod]) =>
    containersOf(pod).map((container) => ({
      where: `${folder} ${pod.name} ${container.name}`,
      pod,
      container,
    })),
  );
  const failing = <T>(list: readonly T[], where: (one: T) => string, isRight: (one: T) => unknown) =>
    list.filter((one) => !isRight(one)).map(where);

  test.each(KUSTOMIZATIONS)('%s is valid for the Kubernetes API', (folder) => {
    expect(built.get(folder)!.flatMap(problemsOf)).toEqual([]);
  });

  test('no object has a field that the Kubernetes API does not know', () => {
    expect(unknownFields(everything.map(([, manifest]) => manifest))).toEqual([]);
  });

  test('the three pods and the overlays are there', () => {
    expect([...built.keys()]).toEqual(
      expect.arrayContaining([
        'k8s/adapter',
        'k8s/ambassador',
        ...['before-1.29', 'direct', 'drop-in', 'nginx', 'production'].map(
          (name) => `k8s/ambassador/overlays/${name}`,
        ),
        'k8s/sidecar',
        'k8s/sidecar/overlays/split',
      ]),
    );
  });

  test('`apply -k k8s/ambassador` and `apply -k k8s/sidecar` are their bases', () => {
    expect(built.get('k8s/ambassador')).toEqual(built.get('k8s/ambassador/base'));
    expect(built.get('k8s/sidecar')).toEqual(built.get('k8s/sidecar/base'));
  });

  test('every pod meets the restricted Pod Security profile and has no token of the API server', () => {
    const isRestrictedPod = ({ spec }: Pod) =>
      spec.securityContext?.runAsNonRoot === true &&
      spec.securityContext.seccompProfile?.type === 'RuntimeDefault' &&
      spec.automountServiceAccountToken === false &&
      !spec.hostNetwork &&
      !spec.hostPID &&
      !spec.hostIPC &&
      (spec.volumes ?? []).every((volume) => volume.hostPath === undefined) &&
      // The one sysctl in use is on the profile's list of safe ones.
      (spec.securityContext.sysctls ?? []).every(
        ({ name }) => name === 'net.ipv4.ip_unprivileged_port_start',
      );
    expect(
      failing(
        everyPod,
        ([folder, pod]) => `${folder} ${pod.name}`,
        ([, pod]) => isRestrictedPod(pod),
      ),
    ).toEqual([]);
    const isRestricted = ({
      pod,
      container: { securityContext: own, ports },
    }: (typeof everyContainer)[number]) =>
      own?.allowPrivilegeEscalation === false &&
      own.readOnlyRootFilesystem === true &&
      JSON.stringify(own.capabilities) === '{"drop":["ALL"]}' &&
      Number(own.runAsUser ?? pod.spec.securityContext?.runAsUser ?? 0) > 0 &&
      (ports ?? []).every((port) => port.hostPort === undefined);
    expect(failing(everyContainer, ({ where }) => where, isRestricted)).toEqual([]);
  });

  test('every container asks for CPU and memory, has a memory limit and no CPU limit', () => {
    const isSized = ({ container: { resources } }: (typeof everyContainer)[number]) =>
      resources?.requests?.cpu &&
      resources.requests.memory &&
      resources.limits?.memory &&
      !resources.limits.cpu;
    expect(failing(everyContainer, ({ where }) => where, isSized)).toEqual([]);
  });

  test('every container has a readiness and a liveness probe, every native sidecar a startup probe too', () => {
    const isProbed = ({ container }: (typeof everyContainer)[number]) =>
      container.readinessProbe &&
      container.livenessProbe &&
      (container.restartPolicy !== 'Always' || container.startupProbe);
    expect(failing(everyContainer, ({ where }) => where, isProbed)).toEqual([]);
  });

  test('probes and Services name ports by number: a Service sees the names of native sidecars only since 1.32', () => {
    const portsOf = ({ container }: (typeof everyContainer)[number]) =>
      [container.startupProbe, container.readinessProbe, container.livenessProbe].map(
        (probe) => (probe?.httpGet ?? probe?.tcpSocket)?.port ?? 0,
      );
    expect(
      failing(
        everyContainer,
        ({ where }) => where,
        (one) => portsOf(one).every((port) => typeof port === 'number'),
      ),
    ).toEqual([]);
    const targets = everything.flatMap(([folder, manifest]) =>
      manifest.kind !== 'Service'
        ? []
        : (manifest.spec as { ports: { targetPort: unknown }[] }).ports.map(
            ({ targetPort }) => [`${folder} ${nameOf(manifest)}`, targetPort] as const,
          ),
    );
    expect(
      failing(
        targets,
        ([where]) => where,
        ([, port]) => typeof port === 'number',
      ),
    ).toEqual([]);
  });

  test('every Service port is one that a container of its pods declares', () => {
    for (const [folder, manifests] of built) {
      const pods = podsOf(manifests);
      for (const service of manifests.filter(({ kind }) => kind === 'Service')) {
        const { selector, ports } = service.spec as {
          selector: Record<string, string>;
          ports: { targetPort: number }[];
        };
        // The fleet asks the pods of the ambassador by a name of its own.
        const near = folder === 'k8s/monitoring/fleet' ? podsOf(built.get('k8s/ambassador')!) : [];
        const mine = [...pods, ...near].filter((pod) =>
          Object.entries(selector).every(([key, value]) => pod.labels[key] === value),
        );
        const declared = mine
          .flatMap(containersOf)
          .flatMap((container) => container.ports ?? [])
          .map((port) => port.containerPort);
        expect(declared, `${folder} ${nameOf(service)}`).toEqual(
          expect.arrayContaining(ports.map((port) => port.targetPort)),
        );
      }
    }
  });

  test('every image has a version, but the one that is published without any; ours has the version of package.json', () => {
    const images = [...new Set(everyContainer.map(({ container }) => container.image!))].sort();
    expect(images.filter((image) => !/:v?\d+(\.\d+)*$/.test(image))).toEqual(['tecnativa/tcp-proxy']);
    expect(images.filter((image) => image.startsWith('request-splitter'))).toEqual([
      `request-splitter:${version}`,
    ]);
  });

  test('labels are those of the convention, and selectors are as small as they can be', () => {
    const wanted = ['app.kubernetes.io/name', 'app.kubernetes.io/part-of'];
    const workloads = everything.filter(([, { kind }]) => kind === 'Deployment' || kind === 'StatefulSet');
    expect(
      failing(
        workloads,
        ([folder, one]) => `${folder} ${nameOf(one)}`,
        ([, one]) => wanted.every((label) => one.metadata.labels?.[label]),
      ),
    ).toEqual([]);
    expect(
      failing(
        everyPod,
        ([folder, pod]) => `${folder} ${pod.name}`,
        ([, pod]) => [...wanted, 'app.kubernetes.io/component'].every((label) => pod.labels[label]),
      ),
    ).toEqual([]);
    const selectors = workloads.map(([, one]) =>
      Object.keys((one.spec as { selector: { matchLabels: object } }).selector.matchLabels),
    );
    expect(new Set(selectors.flat())).toEqual(
      new Set(['app.kubernetes.io/name', 'app.kubernetes.io/instance']),
    );
  });

  test('no file of a ConfigMap or Secret is mounted by subPath: it would never change', () => {
    const mounts = everyContainer.flatMap(({ where, container }) =>
      (container.volumeMounts ?? []).map((mount) => [where, mount] as const),
    );
    expect(
      failing(
        mounts,
        ([where, mount]) => `${where} ${mount.mountPath}`,
        ([, mount]) => mount.subPath === undefined,
      ),
    ).toEqual([]);
  });

  test("the grace of every pod outlasts its pauses and the splitter's drain", () => {
    const sleepOf = ({ lifecycle }: IContainer) => {
      const { sleep, exec: { command = [] } = {} } = lifecycle?.preStop ?? {};
      const waitedMs = /^setTimeout\(\(\) => \{\}, (\d+)\)$/.exec(command[2] ?? '')?.[1];
      return sleep?.seconds ?? Number(waitedMs === undefined ? (command[1] ?? 0) : Number(waitedMs) / 1000);
    };
    const drainDeadline = 25;
    for (const [folder, pod] of everyPod) {
      const splitter = containersOf(pod).find(({ name }) => name === 'request-splitter');
      if (splitter === undefined) continue;
      // A native sidecar's SIGTERM comes after the app's end, an ordinary container's after its own pause.
      const before =
        splitter.restartPolicy === 'Always'
          ? Math.max(...pod.spec.containers.map(sleepOf))
          : sleepOf(splitter);
      expect(pod.spec.terminationGracePeriodSeconds ?? 30, `${folder} ${pod.name}`).toBeGreaterThanOrEqual(
        before + drainDeadline,
      );
    }
  });

  test('a hook in the container of the splitter runs a program that is in its image', () => {
    const hooks = everyContainer
      .filter(({ container }) => container.image!.startsWith('request-splitter:'))
      .flatMap(({ where, container: { lifecycle } }) =>
        [lifecycle?.preStop, lifecycle?.postStart].map((hook) => [where, hook?.exec?.command?.[0]] as const),
      );
    const isThere = (word: string | undefined) => [undefined, 'node', 'request-splitter'].includes(word);
    expect(hooks.filter(([, word]) => !isThere(word))).toEqual([]);
    expect(hooks.some(([, word]) => word === 'node')).toBe(true);
  });

  test('an overlay changes where the splitter stands, never how it is run', () => {
    const splitterOf = (folder: string) => {
      const {
        restartPolicy: _,
        lifecycle: __,
        args: ___,
        volumeMounts: ____,
        ...rest
      } = podsOf(built.get(folder)!)
        .flatMap(containersOf)
        .find(({ name }) => name === 'request-splitter')!;
      return rest;
    };
    for (const name of ['before-1.29', 'direct', 'drop-in', 'production']) {
      expect(splitterOf(`k8s/ambassador/overlays/${name}`), name).toEqual(splitterOf('k8s/ambassador'));
    }
    expect(splitterOf('k8s/sidecar/overlays/split')).toEqual(splitterOf('k8s/ambassador'));
  });

  test('a change of the shares reaches running pods: the name of their ConfigMap carries no hash', () => {
    for (const folder of ['k8s/ambassador', 'k8s/ambassador/overlays/direct', 'k8s/sidecar/overlays/split']) {
      expect(
        built
          .get(folder)!
          .filter(({ kind }) => kind === 'ConfigMap')
          .map(({ metadata }) => metadata.name),
      ).toContain(folder.startsWith('k8s/sidecar') ? 'nginx-splitter' : 'frontend-splitter');
    }
  });

  test('the autoscaler alone states how many frontends there are, and has at least the two that a budget needs', () => {
    const production = built.get('k8s/ambassador/overlays/production')!;
    const frontend = production.find((one) => nameOf(one) === 'Deployment/frontend')!;
    expect((frontend.spec as { replicas?: number }).replicas).toBeUndefined();
    const { minReplicas } = production.find(({ kind }) => kind === 'HorizontalPodAutoscaler')!.spec as {
      minReplicas: number;
    };
    expect(minReplicas).toBeGreaterThanOrEqual(2);
  });

  test("the policies open the pods' ports, not the Services'", () => {
    const production = built.get('k8s/ambassador/overlays/production')!;
    const declared = new Set(
      podsOf(production)
        .flatMap(containersOf)
        .flatMap(({ ports }) => ports ?? [])
        .map(({ containerPort }) => containerPort),
    );
    const opened = production
      .filter(({ kind }) => kind === 'NetworkPolicy')
      .flatMap((policy) => {
        const { ingress = [], egress = [] } = policy.spec as Record<
          'ingress' | 'egress',
          { ports: { port: number }[] }[] | undefined
        >;
        return [...ingress, ...egress].flatMap(({ ports }) => ports.map(({ port }) => port));
      })
      .filter((port) => port !== 53);
    expect(failing(opened, String, (port) => declared.has(port))).toEqual([]);
  });
});
