// Builds the kustomizations under k8s/ with the installed program and parses the result. Knows nothing of
// clusters or of the meaning of the objects.
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseAllDocuments } from 'yaml';

const root = join(import.meta.dirname, '..', '..');

/** A Kubernetes object as its YAML says it: nothing about it is known but these four. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: unknown;
  readonly data?: unknown;
}

const folders = globSync('k8s/**/kustomization.yaml', { cwd: root })
  .map((file) => dirname(file))
  .sort();
const isComponent = (folder: string) =>
  /^kind: Component$/m.test(readFileSync(join(root, folder, 'kustomization.yaml'), 'utf8'));

/** Every folder whose kustomization.yaml can be applied, from the repository's root, sorted. */
export const KUSTOMIZATIONS: readonly string[] = folders.filter((folder) => !isComponent(folder));
/** Those that only add to a kustomization. */
export const COMPONENTS: readonly string[] = folders.filter(isComponent);

function versionOf(program: string, args: readonly string[]): string {
  try {
    return (
      /v(\d+)\.\d+\.\d+/.exec(execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' }))?.[1] ?? ''
    );
  } catch {
    return '';
  }
}

function findKustomize(): readonly string[] | string {
  if (Number(versionOf('kustomize', ['version'])) >= 5) return ['kustomize', 'build'];
  const client = versionOf('kubectl', ['version', '--client', '--output=yaml']);
  if (client === '') return 'neither `kustomize` 5 nor `kubectl` 1.27 or newer is installed';
  try {
    const text = execFileSync('kubectl', ['version', '--client', '--output=yaml'], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
    if (/kustomizeVersion: v[5-9]\./.test(text)) return ['kubectl', 'kustomize'];
  } catch {
    // said below
  }
  return '`kubectl` is older than 1.27: its kustomize cannot read these files';
}

const found = findKustomize();

/** Why nothing can be built on this machine; undefined where it can. */
export const kustomizeMissing: string | undefined = typeof found === 'string' ? found : undefined;

/** All objects of a YAML text, in order; throws on a text that is no YAML. */
export function readManifests(text: string): Manifest[] {
  return parseAllDocuments(text, { version: '1.1' })
    .map((document) => {
      if (document.errors.length > 0) throw document.errors[0]!;
      return document.toJS() as Manifest | null;
    })
    .filter((manifest) => manifest !== null);
}

const built = new Map<string, string>();

/** What a kustomization yields, as text; throws with the program's own words where it does not build. */
export function buildText(folder: string): string {
  if (typeof found === 'string') throw new Error(found);
  const known = built.get(folder);
  if (known !== undefined) return known;
  const [program, ...args] = found;
  // It ends before its garbage matters: collecting it would take a fifth of the processor time.
  const env = { ...process.env, GOGC: 'off' };
  const text = execFileSync(program!, [...args, join(root, folder)], {
    encoding: 'utf8',
    stdio: 'pipe',
    env,
  });
  built.set(folder, text);
  return text;
}
