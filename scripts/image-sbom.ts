// Prints the contents of the image as a CycloneDX 1.6 document: this program, the npm packages in its bundle, node, and
// the Debian packages whose libraries node loads. The same sources give the same bytes: no serial number, no time.
// docs/decisions/0041 says why this is not an SBOM tool. Usage: node scripts/image-sbom.ts ROOT > sbom.cdx.json
// ROOT is the image's root, as image-root.sh makes it: its var/lib/dpkg/status.d has a file for each Debian package.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { bundledPackages, manifestOf, root } from './image-packages.ts';

interface Component {
  readonly 'bom-ref': string;
  readonly type: 'application' | 'library' | 'platform';
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly cpe?: string;
  readonly licenses?: readonly { readonly license: { readonly id: string } }[];
  readonly hashes?: readonly { readonly alg: 'SHA-512'; readonly content: string }[];
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly integrity?: string }>>;
}
const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;

/** An npm package; its hash is that of the published archive, from the lock file. */
function npmPackage(folder: string, type: Component['type']): Component {
  const { name, version, license } = manifestOf(folder);
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const integrity = lock.packages[relative(root, folder)]?.integrity?.replace(/^sha512-/, '');
  return {
    'bom-ref': purl,
    type,
    name,
    version,
    purl,
    ...(license !== undefined && { licenses: [{ license: { id: license } }] }),
    ...(integrity !== undefined && {
      hashes: [{ alg: 'SHA-512' as const, content: Buffer.from(integrity, 'base64').toString('hex') }],
    }),
  };
}

/** Node itself. The name in `cpe` is the one under which its vulnerabilities are filed. */
function nodeRuntime(): Component {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    devDependencies: { node: string };
  };
  const version = devDependencies.node;
  const purl = `pkg:generic/node@${version}`;
  const cpe = `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`;
  return { 'bom-ref': purl, type: 'platform', name: 'node', version, purl, cpe };
}

/** `status` is what dpkg says of the package, `distro` names the release, like "debian-12". */
function debianPackage(status: string, distro: string): Component {
  const field = (name: string) => fieldOf(status, new RegExp(`^${name}: (.+)$`, 'm'));
  const name = field('Package');
  const version = field('Version');
  const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${field('Architecture')}&distro=${distro}`;
  return { 'bom-ref': purl, type: 'library', name, version, purl };
}

function fieldOf(text: string, pattern: RegExp): string {
  const value = pattern.exec(text)?.[1];
  if (value === undefined) throw new Error(`expected ${pattern}, got ${JSON.stringify(text.slice(0, 200))}`);
  return value;
}

const [imageRoot] = process.argv.slice(2);
if (imageRoot === undefined) throw new Error("expected the image's root folder, got no argument");
const statusFolder = join(imageRoot, 'var/lib/dpkg/status.d');
const release = readFileSync(join(imageRoot, 'etc/os-release'), 'utf8');
const distro = `${fieldOf(release, /^ID=(\w+)$/m)}-${fieldOf(release, /^VERSION_ID="(.*)"$/m)}`;

const program = npmPackage(root, 'application');
const components = [
  ...(await bundledPackages()).map((folder) => npmPackage(folder, 'library')),
  nodeRuntime(),
  ...readdirSync(statusFolder)
    .sort()
    .map((file) => debianPackage(readFileSync(join(statusFolder, file), 'utf8'), distro)),
];
const sbom = {
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  version: 1,
  metadata: { component: program },
  components,
  dependencies: [
    { ref: program['bom-ref'], dependsOn: components.map((one) => one['bom-ref']) },
    ...components.map((one) => ({ ref: one['bom-ref'] })),
  ],
};
console.log(JSON.stringify(sbom, null, 1));
