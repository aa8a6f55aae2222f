// A cluster of one machine: the commands `setup`, `images`, `build-image`, `play`, `forward` and `down` of a folder,
// which run Kubernetes objects with podman. A pod of app A is called A-<something>, a container <pod>-<container>.
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Manifest } from '../../support/kustomize.ts';
import type { Cluster } from './cluster.ts';
import { printedBy } from './printed-by.ts';

const root = join(import.meta.dirname, '..', '..', '..');

const listOf = (manifests: readonly Manifest[]) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'List', metadata: { name: 'all' }, items: manifests });

export class Harness implements Cluster {
  readonly name: string;
  readonly isShared = true;
  readonly #folder: string;
  /** Base URLs by target and port. */
  readonly #forwards = new Map<string, string>();

  constructor(folder: string) {
    this.#folder = folder;
    this.name = `the pods harness (podman) in ${folder}`;
  }

  #run(command: string, args: readonly string[] = [], input = ''): string {
    return execFileSync(join(this.#folder, command), args, {
      encoding: 'utf8',
      stdio: 'pipe',
      input,
      maxBuffer: 1 << 26,
    });
  }

  prepare(imageTag: string): void {
    this.#run('setup');
    this.#run('images');
    this.#run('down', ['--now']);
    this.#run('build-image', [root, imageTag]);
    // Its network and its DNS are there before two files ask for them at the same time.
    this.#run('play', ['-'], listOf([]));
  }

  apply(manifests: readonly Manifest[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        join(this.#folder, 'play'),
        ['-'],
        { maxBuffer: 1 << 26 },
        (cause, stdout, stderr) => {
          if (cause === null) resolve();
          else reject(new Error(`play failed:\n${stdout}\n${stderr}`));
        },
      );
      child.stdin?.end(listOf(manifests));
    });
  }

  /** A pod has an address that this machine reaches, while a Service's exists in pods only and needs a pod that relays. */
  async forward(target: `svc/${string}` | `deploy/${string}`, port: number): Promise<string> {
    if (target.startsWith('deploy/')) return this.#addressOf(target.slice('deploy/'.length), port);
    const key = `${target}:${port}`;
    const url = this.#forwards.get(key) ?? (await this.#relay(target, port));
    this.#forwards.set(key, url);
    return url;
  }

  #relay(target: string, port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      execFile(join(this.#folder, 'forward'), [target, `:${port}`], (cause, stdout, stderr) => {
        const address = /from (127\.0\.0\.1:\d+)/.exec(stdout)?.[1];
        if (cause === null && address !== undefined) resolve(`http://${address}`);
        else reject(new Error(`forward ${target} ${port} failed:\n${stdout}\n${stderr}`));
      });
    });
  }

  #addressOf(app: string, port: number): string {
    const rows = this.#run('status').split('\n');
    const row = rows.find((one) => new RegExp(`^${app}-([0-9a-f]{5}-)?\\d+ `).test(one));
    const address = row?.trim().split(/\s+/).at(-1);
    if (address === undefined) throw new Error(`no pod of ${app} among:\n${rows.join('\n')}`);
    return `http://${address}:${port}`;
  }

  /** podman's name of the container; the newest pod where a rollout has left two. */
  #container(app: string, container: string): string {
    const names = execFileSync('podman', ['ps', '--all', '--format', '{{.Names}}', '--sort', 'created'], {
      encoding: 'utf8',
    });
    const mine = names
      .split('\n')
      .filter((name) => new RegExp(`^${app}-([0-9a-f]{5}-)?\\d+-${container}$`).test(name));
    const newest = mine.at(-1);
    if (newest === undefined) throw new Error(`no container ${container} of ${app} among ${names}`);
    return newest;
  }

  kill(app: string, container: string): void {
    execFileSync('podman', ['kill', '--signal', 'KILL', this.#container(app, container)], { stdio: 'pipe' });
  }

  logs(app: string, container: string): string {
    const { stdout, stderr } = spawnSync('podman', ['logs', this.#container(app, container)], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    return stdout + stderr;
  }

  exec(app: string, container: string, command: readonly string[]): string {
    return execFileSync('podman', ['exec', this.#container(app, container), ...command], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
  }

  run(image: string, command: readonly string[]): Promise<string> {
    return printedBy(join(this.#folder, 'run'), [image, '--', ...command]);
  }

  down(manifests?: readonly Manifest[]): void {
    if (manifests === undefined) {
      this.#run('down', ['--now']);
      this.#forwards.clear();
    } else this.#run('down', ['--now', '-'], listOf([...manifests, ...this.#forwardsTo(manifests)]));
  }

  /** The pods that relay to these Services. With nowhere to connect to, what they run keeps a core busy. */
  #forwardsTo(manifests: readonly Manifest[]): Manifest[] {
    const services = manifests.filter(({ kind }) => kind === 'Service');
    const isTo = (key: string) => services.some(({ metadata }) => key.startsWith(`svc/${metadata.name}:`));
    const ended = [...this.#forwards].filter(([key]) => isTo(key));
    for (const [key] of ended) this.#forwards.delete(key);
    return ended.map(([, url]) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `forward-${new URL(url).port}` },
    }));
  }
}
