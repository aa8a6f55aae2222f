// The Helm chart, rendered by Helm: valid, configurable, and the same container as in k8s/.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { Service } from 'kubernetes-models/v1/Service';
import { afterAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/parse.ts';
import { formatProblems } from '../../src/config/problem.ts';
import { buildText, kustomizeMissing, type Manifest, readManifests } from '../support/kustomize.ts';

const root = join(import.meta.dirname, '..', '..');
const CHART = join(root, 'charts', 'request-splitter');
const VALUES = join(CHART, 'ci', 'ambassador-values.yaml');
const scratch = mkdtempSync(join(tmpdir(), 'chart-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Helm without the settings, caches and clusters of whoever runs the test. */
function helm(...args: string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
} {
  return spawnSync('helm', args, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: scratch, HELM_CONFIG_HOME: scratch, HELM_CACHE_HOME: scratch },
  });
}
const hasHelm = helm('version').status === 0;
if (!hasHelm) console.warn('skipped: helm is not installed (.ci/run installs it)');

function render(...args: string[]): Manifest[] {
  const { status, stdout, stderr } = helm('template', 'shop', CHART, ...args);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return readManifests(stdout);
}
const one = (manifests: readonly Manifest[], kind: string): Manifest => {
  const found = manifests.filter((manifest) => manifest.kind === kind);
  expect(found).toHaveLength(1);
  return found[0]!;
};
const podOf = (manifest: Manifest): IPodSpec =>
  (manifest.spec as { template: { spec: IPodSpec } }).template.spec;
const splitterOf = (pod: IPodSpec): IContainer =>
  [...(pod.initContainers ?? []), ...pod.containers].find(({ name }) => name === 'request-splitter')!;
const configOf = (manifests: readonly Manifest[]): string =>
  (one(manifests, 'ConfigMap').data as Record<string, string>)['splitter.yaml']!;
const parsed = (text: string) => parseConfig(text, 'splitter.yaml');

describe.skipIf(!hasHelm)('the chart', () => {
  test('passes the strict lint', () => {
    expect(helm('lint', '--strict', CHART, '--values', VALUES)).toMatchObject({ status: 0 });
  });

  test('yields a ConfigMap, a Service and a Deployment that are valid for the Kubernetes API', () => {
    const manifests = render('--values', VALUES);
    expect(manifests.map(({ kind }) => kind).sort()).toEqual(['ConfigMap', 'Deployment', 'Service']);
    new ConfigMap(one(manifests, 'ConfigMap') as never).validate();
    new Service(one(manifests, 'Service') as never).validate();
    new Deployment(one(manifests, 'Deployment') as never).validate();
    for (const { metadata } of manifests) expect(metadata.name).toBe('shop-request-splitter');
  });

  test('its Service and its selector find its pods, and the pod mounts its ConfigMap as a folder', () => {
    const manifests = render('--values', VALUES, '--set', 'standalone.podLabels.team=shop');
    const { selector, template } = one(manifests, 'Deployment').spec as {
      selector: { matchLabels: Record<string, string> };
      template: { metadata: { labels: Record<string, string> } };
    };
    const service = one(manifests, 'Service').spec as { selector: object; ports: { targetPort: number }[] };
    expect(service.selector).toEqual(selector.matchLabels);
    expect(template.metadata.labels).toMatchObject({ ...selector.matchLabels, team: 'shop' });
    const pod = podOf(one(manifests, 'Deployment'));
    expect(splitterOf(pod).ports!.map(({ containerPort }) => containerPort)).toContain(
      service.ports[0]!.targetPort,
    );
    expect(pod.volumes).toEqual([
      { name: 'splitter-config', configMap: { name: 'shop-request-splitter' } },
      { name: 'splitter-state', emptyDir: { sizeLimit: '4Mi' } },
    ]);
    expect(splitterOf(pod).volumeMounts).toContainEqual({
      name: 'splitter-config',
      mountPath: '/etc/request-splitter',
      readOnly: true,
    });
  });

  test('its configuration runs, and listens where the container says', () => {
    const { config, problems = [] } = parsed(
      configOf(render('--values', VALUES, '--set', 'ports.split=18000,ports.admin=19901')),
    );
    expect(formatProblems(problems)).toEqual([]);
    const pod = podOf(
      one(render('--values', VALUES, '--set', 'ports.split=18000,ports.admin=19901'), 'Deployment'),
    );
    const { ports, startupProbe, readinessProbe, livenessProbe } = splitterOf(pod);
    expect(ports!.map(({ containerPort }) => containerPort)).toEqual([18000, 19901]);
    expect([startupProbe, readinessProbe, livenessProbe].map((probe) => probe!.httpGet!.port)).toEqual([
      19901, 19901, 19901,
    ]);
    expect(JSON.stringify(config!.listen)).toContain('18000');
    expect(JSON.stringify(config!.admin)).toContain('19901');
  });

  test('an image by digest, a ConfigMap of yours and no pods are one value each', () => {
    const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
    const pod = podOf(
      one(
        render(
          '--set',
          `existingConfigMap=mine,image.repository=registry.example/splitter,image.digest=${digest}`,
        ),
        'Deployment',
      ),
    );
    expect(splitterOf(pod).image).toBe(`registry.example/splitter@${digest}`);
    expect(pod.volumes![0]!.configMap).toEqual({ name: 'mine' });
    expect(render('--values', VALUES, '--set', 'standalone.enabled=false').map(({ kind }) => kind)).toEqual([
      'ConfigMap',
    ]);
  });

  test.each([
    [
      'a value that does not exist',
      ['--values', VALUES, '--set', 'replicas=3'],
      "additional properties 'replicas' not allowed",
    ],
    [
      'a port that is no number',
      ['--values', VALUES, '--set-string', 'ports.split=http'],
      'got string, want integer',
    ],
    ['a port stated twice', ['--values', VALUES, '--set', 'config.listen=:1'], "'not' failed"],
    ['no configuration', [], 'set `config`'],
  ])('refuses %s', (_name, args, message) => {
    const { status, stderr } = helm('template', 'shop', CHART, ...args);
    expect(stderr).toContain(message);
    expect(status).toBe(1);
  });

  test('gives a pod of another chart the sidecar, as its README says', () => {
    const app = join(scratch, 'app');
    mkdirSync(join(app, 'templates'), { recursive: true });
    cpSync(CHART, join(app, 'charts', 'request-splitter'), { recursive: true });
    const [include] = /^ {4}spec:\n {6}initContainers:\n(?:.*\n)*?(?=```)/m.exec(
      readFileSync(join(CHART, 'README.md'), 'utf8'),
    )!;
    const dependency = /^ {2}- (\{ name: request-splitter.*\})$/m.exec(
      readFileSync(join(CHART, 'README.md'), 'utf8'),
    )![1]!;
    writeFileSync(
      join(app, 'Chart.yaml'),
      `apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n  - ${dependency}\n`,
    );
    writeFileSync(
      join(app, 'values.yaml'),
      `request-splitter:\n  standalone: { enabled: false }\n${readFileSync(VALUES, 'utf8').replace(/^/gm, '  ')}`,
    );
    writeFileSync(
      join(app, 'templates', 'app.yaml'),
      `apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
${include}      containers: [{name: app, image: "app:1"}]
`,
    );
    const { status, stdout, stderr } = helm('template', 'shop', app);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const manifests = readManifests(stdout);
    expect(manifests.map(({ kind }) => kind).sort()).toEqual(['ConfigMap', 'Deployment']);
    new Deployment(one(manifests, 'Deployment') as never).validate();
    const pod = podOf(one(manifests, 'Deployment'));
    expect(pod.initContainers).toHaveLength(1);
    const { restartPolicy, ...sidecar } = pod.initContainers![0]!;
    expect(restartPolicy).toBe('Always');
    expect(pod.volumes![0]!.configMap!.name).toBe(one(manifests, 'ConfigMap').metadata.name);
    const { lifecycle, ...alone } = splitterOf(podOf(one(render('--values', VALUES), 'Deployment')));
    expect(lifecycle).toEqual({ preStop: { sleep: { seconds: 5 } } });
    expect(sidecar).toEqual(alone);
  });

  test('its pod outlasts its pause and the drain', () => {
    expect(
      podOf(one(render('--values', VALUES), 'Deployment')).terminationGracePeriodSeconds,
    ).toBeGreaterThanOrEqual(5 + 25);
  });
});

describe.skipIf(!hasHelm || kustomizeMissing !== undefined)('the chart and k8s/ambassador', () => {
  const ours = () => podOf(one(render('--values', VALUES), 'Deployment'));
  const manifests = () => readManifests(buildText('k8s/ambassador'));
  const frontend = () =>
    podOf(manifests().find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'frontend')!);

  test('have the same container, but for what Helm adds and when it ends', () => {
    const stated = (pod: IPodSpec) => {
      const {
        securityContext: _,
        imagePullPolicy: __,
        lifecycle: ___,
        restartPolicy: ____,
        ...rest
      } = splitterOf(pod);
      return rest;
    };
    const sidecar = stated(frontend());
    expect(Object.keys(sidecar)).toEqual(
      expect.arrayContaining([
        'image',
        'ports',
        'startupProbe',
        'readinessProbe',
        'livenessProbe',
        'resources',
      ]),
    );
    expect(stated(ours())).toEqual(sidecar);
  });

  test('run the container under the same security context', () => {
    const effective = (pod: IPodSpec) => {
      const { runAsNonRoot, seccompProfile } = pod.securityContext ?? {};
      return { runAsNonRoot, seccompProfile, ...splitterOf(pod).securityContext };
    };
    expect(effective(ours())).toEqual(effective(frontend()));
    expect(effective({ ...ours(), securityContext: {} })).toEqual(effective(frontend()));
  });

  test('split alike, requests without a token included', () => {
    const splits = (text: string) => {
      const { config, problems = [] } = parsed(text);
      expect(formatProblems(problems)).toEqual([]);
      return [...config!.splits].map(([name, { key, missingKey, variants }]) => [
        name,
        key,
        missingKey,
        variants.map((variant) => [variant.name, variant.share]),
      ]);
    };
    const text = readFileSync(join(root, 'k8s/ambassador/base/splitter.yaml'), 'utf8');
    expect(splits(configOf(render('--values', VALUES)))).toEqual(splits(text));
  });
});
