// A small cluster made of docker or podman alone, for machines without the harness: as much of Kubernetes as the pods of
// k8s/ use, and no more. A pod is a container that holds the network and the others that join it; a Service is a
// container with the Service's name that relays to the ready pods; the rest of a kubelet's work (probes, restarts,
// hooks, rollouts) is done here, in the test's process.
import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import type { IProbe } from 'kubernetes-models/v1/Probe';
import type { IServiceSpec } from 'kubernetes-models/v1/ServiceSpec';
import type { Manifest } from '../../support/kustomize.ts';
import type { Cluster } from './cluster.ts';
import { printedBy } from './printed-by.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const NETWORK = 'request-splitter-pods';
const PREFIX = 'rsp';
/** A cluster needs about this long until every node has heard that a pod is going. */
const ENDPOINT_LAG_MS = 1000;

const run = promisify(execFile);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Relays each port of argv (JSON {port: target port}) to one of the addresses in /endpoints/list, read for each connection. */
const RELAY = `
const { createServer, connect } = require('node:net');
const { readFileSync } = require('node:fs');
for (const [port, target] of Object.entries(JSON.parse(process.argv[1]))) {
  createServer({ allowHalfOpen: true, noDelay: true }, (one) => {
    const hosts = readFileSync('/endpoints/list', 'utf8').split(' ').filter(Boolean);
    if (hosts.length === 0) return one.resetAndDestroy();
    const host = hosts[Math.floor(Math.random() * hosts.length)];
    const other = connect({ host, port: target, allowHalfOpen: true, noDelay: true });
    one.pipe(other).pipe(one);
    one.on('error', () => other.resetAndDestroy());
    other.on('error', () => one.resetAndDestroy());
  }).listen(Number(port), () => console.log('listening'));
}
process.on('SIGTERM', () => process.exit());
`;
const HOLD = "process.on('SIGTERM', () => process.exit()); setInterval(() => {}, 1 << 30);";

interface Container {
  readonly id: string;
  readonly spec: IContainer;
  readonly kind: 'sidecar' | 'main';
}

interface Pod {
  readonly name: string;
  readonly owner: string;
  readonly digest: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: IPodSpec;
  readonly containers: Container[];
  address: string;
  isReady: boolean;
}

interface Service {
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: string;
  /** Folders of the relays that read this Service's endpoints. */
  readonly folders: string[];
}

/** The first of docker and podman that answers; undefined where neither does. */
export function findEngine(): string | undefined {
  return ['docker', 'podman'].find((engine) => {
    try {
      execFileSync(engine, ['ps', '--quiet'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

export class Plain implements Cluster {
  readonly name: string;
  /** What runs is known to one process only. */
  readonly isShared = false;
  readonly #engine: string;
  readonly #scratch = join(tmpdir(), `request-splitter-pods-${process.pid}`);
  readonly #maps = new Map<string, Manifest>();
  readonly #services = new Map<string, Service>();
  readonly #pods = new Map<string, Pod>();
  #count = 0;
  #helper = '';

  constructor(engine: string) {
    this.#engine = engine;
    this.name = `${engine} alone`;
  }

  #sync(...args: readonly string[]): string {
    return execFileSync(this.#engine, args, { encoding: 'utf8', stdio: 'pipe', maxBuffer: 1 << 26 }).trim();
  }

  async #call(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(this.#engine, args, { maxBuffer: 1 << 26 });
    return stdout.trim();
  }

  prepare(imageTag: string): void {
    this.#sync('build', '--tag', imageTag, root);
  }

  /** The image that holds networks and relays: ours, since it has node and is there already. */
  get #node(): string {
    if (this.#helper === '') {
      const images = this.#sync(
        'images',
        '--format',
        '{{.Repository}}:{{.Tag}}',
        '--filter',
        'reference=request-splitter',
      );
      this.#helper = images.split('\n')[0]!;
      if (this.#helper === '') throw new Error('the image request-splitter is not built');
    }
    return this.#helper;
  }

  async apply(manifests: readonly Manifest[]): Promise<void> {
    await this.#call('network', 'inspect', NETWORK).catch(() => this.#call('network', 'create', NETWORK));
    for (const one of manifests.filter(({ kind }) => kind === 'ConfigMap' || kind === 'Secret')) {
      this.#maps.set(`${one.kind}/${one.metadata.name}`, one);
    }
    for (const pod of this.#pods.values()) this.#fillVolumes(pod);
    for (const one of manifests.filter(({ kind }) => kind === 'Service')) await this.#applyService(one);
    const workloads = manifests.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
    await Promise.all(workloads.map((one) => this.#applyWorkload(one)));
  }

  async #applyService({ metadata: { name }, spec }: Manifest): Promise<void> {
    const { selector = {}, ports = [] } = spec as IServiceSpec;
    const text = JSON.stringify(
      Object.fromEntries((ports ?? []).map(({ port, targetPort }) => [port, targetPort])),
    );
    const old = this.#services.get(name);
    if (old?.ports === text) return;
    if (old !== undefined) await this.#call('rm', '--force', `${PREFIX}-svc-${name}`);
    const service: Service = { selector: selector ?? {}, ports: text, folders: [] };
    this.#services.set(name, service);
    await this.#relay(`${PREFIX}-svc-${name}`, service, ['--network-alias', name]);
    this.#writeEndpoints();
  }

  async #relay(name: string, service: Service, options: readonly string[]): Promise<void> {
    const folder = join(this.#scratch, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'list'), '');
    service.folders.push(folder);
    const fixed = [
      'run',
      '--detach',
      '--name',
      name,
      '--network',
      NETWORK,
      '--no-healthcheck',
      '--user',
      '0',
    ];
    await this.#call(
      ...fixed,
      ...options,
      '--volume',
      `${folder}:/endpoints:ro`,
      '--entrypoint',
      'node',
      this.#node,
      '-e',
      RELAY,
      service.ports,
    );
    const wanted = Object.keys(JSON.parse(service.ports) as object).length;
    while ((await this.#call('logs', name)).split('listening').length - 1 < wanted) await pause(20);
  }

  #writeEndpoints(): void {
    for (const { selector, folders } of this.#services.values()) {
      const isMeant = (pod: Pod) =>
        pod.isReady && Object.entries(selector).every(([key, value]) => pod.labels[key] === value);
      const list = [...this.#pods.values()].filter(isMeant).map(({ address }) => address);
      for (const folder of folders) writeFileSync(join(folder, 'list'), list.join(' '));
    }
  }

  async #applyWorkload(workload: Manifest): Promise<void> {
    const owner = workload.metadata.name;
    const { replicas = 1, template } = workload.spec as {
      replicas?: number;
      template: { metadata: { labels: Record<string, string> }; spec: IPodSpec };
    };
    const digest = JSON.stringify([template, await this.#imagesOf(template.spec)]);
    const have = [...this.#pods.values()].filter((pod) => pod.owner === owner);
    const kept = have.filter((pod) => pod.digest === digest).slice(0, replicas);
    const going = have.filter((pod) => !kept.includes(pod));
    // A StatefulSet never has two pods of one name; a Deployment's old ones go once the new ones are ready.
    if (workload.kind === 'StatefulSet') await Promise.all(going.map((pod) => this.#delete(pod)));
    const created: Promise<void>[] = [];
    for (let missing = replicas - kept.length; missing > 0; missing--) {
      const name = `${PREFIX}-${owner}-${++this.#count}`;
      created.push(
        this.#create({
          name,
          owner,
          digest,
          labels: template.metadata.labels,
          spec: template.spec,
          containers: [],
          address: '',
          isReady: false,
        }),
      );
    }
    await Promise.all(created);
    if (workload.kind !== 'StatefulSet') await Promise.all(going.map((pod) => this.#delete(pod)));
  }

  async #imagesOf(spec: IPodSpec): Promise<string[]> {
    const names = [...(spec.initContainers ?? []), ...spec.containers].map(({ image }) => image!);
    return Promise.all(
      names.map(async (name) => {
        const id = () => this.#call('image', 'inspect', '--format', '{{.Id}}', name);
        return id().catch(() => this.#call('pull', name).then(id));
      }),
    );
  }

  async #create(pod: Pod): Promise<void> {
    this.#pods.set(pod.name, pod);
    this.#fillVolumes(pod);
    const sysctls = (pod.spec.securityContext?.sysctls ?? []).flatMap(({ name, value }) => [
      '--sysctl',
      `${name}=${value}`,
    ]);
    const fixed = [
      'run',
      '--detach',
      '--name',
      pod.name,
      '--network',
      NETWORK,
      '--no-healthcheck',
      ...sysctls,
    ];
    await this.#call(...fixed, '--entrypoint', 'node', this.#node, '-e', HOLD);
    const format = `{{(index .NetworkSettings.Networks "${NETWORK}").IPAddress}}`;
    pod.address = await this.#call('inspect', '--format', format, pod.name);
    const all = [
      ...(pod.spec.initContainers ?? []).map((spec) => ({ spec, kind: 'sidecar' as const })),
      ...pod.spec.containers.map((spec) => ({ spec, kind: 'main' as const })),
    ];
    for (const { spec, kind } of all) {
      const container: Container = { id: `${pod.name}-${spec.name}`, spec, kind };
      await this.#call(...this.#commandFor(pod, container));
      pod.containers.push(container);
      if (kind === 'sidecar') await this.#await(container, spec.startupProbe);
    }
    await this.#becomeReady(pod);
  }

  async #becomeReady(pod: Pod): Promise<void> {
    for (const container of pod.containers) {
      await this.#await(container, container.spec.startupProbe);
      await this.#await(container, container.spec.readinessProbe);
    }
    pod.isReady = true;
    this.#writeEndpoints();
  }

  #commandFor(pod: Pod, { id, spec }: Container): string[] {
    const own = { ...pod.spec.securityContext, ...spec.securityContext };
    const args = ['run', '--detach', '--name', id, '--network', `container:${pod.name}`, '--no-healthcheck'];
    if (own.runAsUser !== undefined)
      args.push('--user', `${own.runAsUser}:${own.runAsGroup ?? own.runAsUser}`);
    if (pod.spec.securityContext?.fsGroup) args.push('--group-add', String(pod.spec.securityContext.fsGroup));
    // podman would put a tmpfs on /tmp, /run and /var/tmp; a kubelet does not.
    if (own.readOnlyRootFilesystem)
      args.push('--read-only', ...(this.#engine === 'podman' ? ['--read-only-tmpfs=false'] : []));
    for (const capability of own.capabilities?.drop ?? []) args.push(`--cap-drop=${capability}`);
    if (own.allowPrivilegeEscalation === false) args.push('--security-opt=no-new-privileges');
    const memory = spec.resources?.limits?.memory;
    if (memory) args.push(`--memory=${String(memory).replace('i', '').toLowerCase()}`);
    for (const { name, value = '' } of spec.env ?? []) args.push('--env', `${name}=${value}`);
    for (const { name, mountPath } of spec.volumeMounts ?? []) {
      const volume = (pod.spec.volumes ?? []).find((one) => one.name === name)!;
      const claim = volume.persistentVolumeClaim?.claimName;
      const isOurs = claim !== undefined || volume.emptyDir !== undefined;
      const folder =
        claim === undefined ? join(this.#scratch, pod.name, name) : join(this.#scratch, 'claims', claim);
      if (isOurs && !existsSync(folder)) {
        mkdirSync(folder, { recursive: true });
        chmodSync(folder, 0o1777);
      }
      args.push('--volume', `${folder}:${mountPath}${isOurs ? '' : ':ro'}`);
    }
    const [program, ...rest] = spec.command ?? [];
    if (program !== undefined) args.push('--entrypoint', program);
    return [...args, spec.image!, ...rest, ...(spec.args ?? [])];
  }

  /** Writes ConfigMaps and Secrets as the kubelet does: a new folder, then `..data` moves to it at once. */
  #fillVolumes(pod: Pod): void {
    for (const { name, configMap, secret } of pod.spec.volumes ?? []) {
      const key = configMap
        ? `ConfigMap/${configMap.name}`
        : secret
          ? `Secret/${secret.secretName}`
          : undefined;
      if (key === undefined) continue;
      const map = this.#maps.get(key);
      if (map === undefined) throw new Error(`pod ${pod.name}: no ${key}`);
      const decode = (value: string) =>
        map.kind === 'Secret' ? Buffer.from(value, 'base64') : Buffer.from(value);
      const data = Object.entries(map.data as Record<string, string>);
      const items = (configMap ?? secret)?.items ?? data.map(([file]) => ({ key: file, path: file }));
      const where = join(this.#scratch, pod.name, name);
      const fresh = `..${Date.now()}_${++this.#count}`;
      mkdirSync(join(where, fresh), { recursive: true });
      for (const { key: file, path } of items) {
        writeFileSync(join(where, fresh, path), decode((map.data as Record<string, string>)[file]!), {
          mode: 0o444,
        });
      }
      symlinkSync(fresh, join(where, '..data_tmp'));
      const old = linkOf(join(where, '..data'));
      renameSync(join(where, '..data_tmp'), join(where, '..data'));
      for (const { path } of items)
        if (linkOf(join(where, path)) === undefined) symlinkSync(join('..data', path), join(where, path));
      if (old !== undefined) rmSync(join(where, old), { recursive: true });
    }
  }

  /** Until the probe succeeds; throws with the log when the container has ended or the time is over. */
  async #await({ id, spec }: Container, probe: IProbe | undefined): Promise<void> {
    if (probe === undefined) return;
    const end = performance.now() + 120_000;
    while (!(await this.#isFine(id, probe))) {
      const state = await this.#call('inspect', '--format', '{{.State.Status}}', id).catch(() => 'gone');
      if (state !== 'running' || performance.now() > end) {
        throw new Error(
          `${spec.name} is not ready (${state}):\n${await this.#call('logs', '--tail', '30', id).catch(String)}`,
        );
      }
      await pause(100);
    }
  }

  /** Probes run in the pod's network, by the container that holds it: pods need no address that the host can reach. */
  async #isFine(id: string, { httpGet, tcpSocket, exec }: IProbe): Promise<boolean> {
    const holder = [...this.#pods.values()].find(({ containers }) =>
      containers.some((one) => one.id === id),
    )!;
    const script = httpGet
      ? `fetch('http://127.0.0.1:${httpGet.port}${httpGet.path ?? '/'}', { redirect: 'manual' }).then((r) => process.exit(r.status < 400 ? 0 : 1), () => process.exit(1))`
      : `net.connect(${tcpSocket?.port}, '127.0.0.1', () => process.exit(0)).on('error', () => process.exit(1))`;
    const command = exec ? ['exec', id, ...exec.command!] : ['exec', holder.name, 'node', '-e', script];
    return this.#call(...command).then(
      () => true,
      () => false,
    );
  }

  async #delete(pod: Pod): Promise<void> {
    const end = performance.now() + (pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
    const lag = pause(ENDPOINT_LAG_MS).then(() => {
      pod.isReady = false;
      this.#writeEndpoints();
    });
    const hook = async ({ id, spec: { lifecycle } }: Container) => {
      const { sleep, exec } = lifecycle?.preStop ?? {};
      if (sleep) await pause(sleep.seconds * 1000);
      if (exec) await this.#call('exec', id, ...exec.command!);
    };
    const stop = (id: string) =>
      this.#call('stop', '-t', String(Math.max(1, Math.round((end - performance.now()) / 1000))), id);
    const hooks = new Map(pod.containers.map((one) => [one, hook(one)]));
    await Promise.all(
      pod.containers
        .filter(({ kind }) => kind === 'main')
        .map((one) => hooks.get(one)!.then(() => stop(one.id))),
    );
    for (const one of pod.containers.filter(({ kind }) => kind === 'sidecar').reverse()) {
      await hooks.get(one);
      await stop(one.id);
    }
    await lag;
    this.#pods.delete(pod.name);
    await this.#call('rm', '--force', ...pod.containers.map(({ id }) => id));
    await this.#call('rm', '--force', pod.name);
  }

  async forward(target: `svc/${string}` | `deploy/${string}`, port: number): Promise<string> {
    const [kind, name] = target.split('/') as [string, string];
    const pod = [...this.#pods.values()].find(({ owner }) => owner === name);
    const service =
      kind === 'svc'
        ? this.#services.get(name)
        : { selector: pod?.labels ?? {}, ports: JSON.stringify({ [port]: port }), folders: [] };
    if (service === undefined) throw new Error(`no Service ${name}`);
    if (kind !== 'svc') this.#services.set(`forward-${++this.#count}`, service);
    const relay = `${PREFIX}-forward-${++this.#count}`;
    await this.#relay(relay, service, ['--publish', `127.0.0.1::${port}`]);
    this.#writeEndpoints();
    const published = await this.#call('port', relay, `${port}/tcp`);
    return `http://127.0.0.1:${published.split('\n')[0]!.split(':').at(-1)}`;
  }

  #containerOf(app: string, container: string): Container & { readonly pod: Pod } {
    const pod = [...this.#pods.values()].filter(({ owner }) => owner === app).at(-1);
    const found = pod?.containers.find(({ spec }) => spec.name === container);
    if (pod === undefined || found === undefined) throw new Error(`no container ${container} of ${app}`);
    return { ...found, pod };
  }

  kill(app: string, container: string): void {
    const { id, pod } = this.#containerOf(app, container);
    this.#sync('kill', '--signal', 'KILL', id);
    pod.isReady = false;
    this.#writeEndpoints();
    // A kubelet starts it again by itself, and the pod is an endpoint once it is ready.
    void this.#call('start', id)
      .then(() => this.#becomeReady(pod))
      .catch(() => undefined);
  }

  logs(app: string, container: string): string {
    return execFileSync(
      '/bin/sh',
      ['-c', '"$0" logs "$1" 2>&1', this.#engine, this.#containerOf(app, container).id],
      { encoding: 'utf8', maxBuffer: 1 << 26 },
    );
  }

  exec(app: string, container: string, command: readonly string[]): string {
    return this.#sync('exec', this.#containerOf(app, container).id, ...command);
  }

  run(image: string, command: readonly string[]): Promise<string> {
    return printedBy(this.#engine, ['run', '--rm', '--network', NETWORK, image, ...command]);
  }

  /** Takes everything away, whatever the list. */
  down(): void {
    const ours = (text: string) => text.split('\n').filter((name) => name.startsWith(`${PREFIX}-`));
    // Those that joined a pod's network go before the one that holds it.
    const names = ours(this.#sync('ps', '--all', '--format', '{{.Names}}')).sort(
      (a, b) => b.length - a.length,
    );
    for (const name of names) this.#sync('rm', '--force', '--volumes', name);
    this.#pods.clear();
    this.#services.clear();
    this.#maps.clear();
    if (!existsSync(this.#scratch)) return;
    // What the containers wrote belongs to their users: only a container may take it away again.
    const clear =
      "fs.readdirSync('/scratch').forEach((name) => fs.rmSync('/scratch/' + name, { recursive: true }))";
    const fixed = ['run', '--rm', '--no-healthcheck', '--user', '0', '--volume', `${this.#scratch}:/scratch`];
    this.#sync(...fixed, '--entrypoint', 'node', this.#node, '-e', clear);
    rmSync(this.#scratch, { recursive: true });
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
