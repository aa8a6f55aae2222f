// Builds what ships: dist/main.js with its chunks for the image and the benches, self-contained, of which a start reads what
// it needs (docs/decisions/0020), and the library entries for embedders, whose dependencies stay outside. Not minified and without a source map: a stack trace names the
// functions of the sources as they are, a map would only be read with --enable-source-maps, which costs memory and
// start time, and minifying was measured to save neither.
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { defineConfig } from 'rolldown';
import { readPage } from './src/admin/page/assets.ts';

/**
 * What only some configurations and requests need: https upstreams, secrets, keys that are made, compressed answers of the
 * admin port. Loaded by the first call; tables like STATUS_CODES are copied.
 */
const LOADED_BY_CALL = ['node:child_process', 'node:crypto', 'node:http', 'node:tls', 'node:zlib'];

/** An object of numbers and texts alone. */
function isTable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).every((one) => typeof one === 'number' || typeof one === 'string');
}

/**
 * `import` of a module of Node reads every one of its exports, and some of them load more: `promises` of node:fs, half of
 * node:util, the undici behind `WebSocket` of node:http. Taken with getBuiltinModule, only what is named is read.
 */
const leanBuiltins = {
  name: 'lean-builtins',
  resolveId(id: string, _importer: string | undefined, { kind }: { kind: string }) {
    if (!isBuiltin(id)) return null;
    return `\0${kind === 'require-call' ? 'required' : 'imported'}:${id.replace(/^(?:node:)?/, 'node:')}`;
  },
  load(id: string) {
    const [, kind, name] = /^\0(required|imported):(node:.*)$/.exec(id) ?? [];
    if (name === undefined) return null;
    const got = `process.getBuiltinModule('${name}')`;
    if (kind === 'required') return `module.exports = ${got};`;
    const exported = process.getBuiltinModule(name) as Record<string, unknown>;
    const names = Object.keys(exported).filter((one) => /^(?!default$)[\w$]+$/.test(one));
    const byCall = LOADED_BY_CALL.includes(name);
    const lines = names.map((one) =>
      byCall && /^[A-Z]/.test(one) && typeof exported[one] === 'function'
        ? // A class: what a function returns takes the place of what `new` made.
          `export function ${one}(...given) { return new (loaded().${one})(...given); }`
        : byCall && isTable(exported[one])
          ? `export const ${one} = ${JSON.stringify(exported[one])};`
          : byCall
            ? `export const ${one} = (...given) => loaded().${one}(...given);`
            : `export const ${one} = /* @__PURE__ */ (() => ${got}.${one})();`,
    );
    const whole = byCall ? `{ ${names.join(', ')} }` : `/* @__PURE__ */ (() => ${got})()`;
    const load = byCall ? [`let whole; const loaded = () => (whole ??= ${got});`] : [];
    return [...load, ...lines, `export default ${whole};`].join('\n');
  },
};

/**
 * What packages carry that nothing here calls: pino's transports (threads), and in prom-client the push gateway, the
 * cluster and the default metrics (node:https, node:cluster, node:perf_hooks and what these load).
 */
const withoutUnused = {
  name: 'without-unused',
  load(id: string) {
    if (id.endsWith('/pino/lib/transport.js')) {
      return "module.exports = () => { throw new Error('this build of pino has no transports'); };";
    }
    if (id.endsWith('/prom-client/index.js')) {
      return "exports.Registry = require('./lib/registry'); exports.Gauge = require('./lib/gauge');";
    }
    return null;
  },
};

/** A single character beyond ASCII makes V8 hold the whole source in two bytes a character: 2 MiB more. */
const asciiOnly = {
  name: 'ascii-only',
  renderChunk(code: string) {
    const spoiled = /\\[^\0-\x7f]|String\.raw`[^`]*[^\0-\x7f]/.exec(code);
    if (spoiled !== null)
      throw new Error(`an escape would change the meaning of ${JSON.stringify(spoiled[0])}`);
    return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  },
};

/** The admin page's files, which the sources read from disk, become texts of the bundle. */
const inlinePage = {
  name: 'inline-page',
  load: (id: string) =>
    id.endsWith('/src/admin/page/assets.ts')
      ? `export function readPage() { return ${JSON.stringify(readPage())}; }`
      : null,
};

/** What is loaded on its own at a start: a letter for each, of which the names of files are made. */
const LOADED_ALONE = {
  r: 'src/cli/readiness.ts',
  p: 'src/cli/program.ts',
  l: 'src/load-thread.ts',
  w: 'src/workers/worker.ts',
  s: 'src/cli/serve.ts',
};

/** What tells the imports of a module; `import()` is not among them. */
interface Modules {
  getModuleInfo(id: string): { readonly importedIds: readonly string[] } | null;
}

function closureOf(id: string, modules: Modules): ReadonlySet<string> {
  const closure = new Set([id]);
  for (const one of closure) {
    for (const imported of modules.getModuleInfo(one)?.importedIds ?? []) closure.add(imported);
  }
  return closure;
}

/** By letter; made once for a build. */
let closures: [string, ReadonlySet<string>][] = [];

/**
 * What `serve` imports is in a few files, one for all modules that the same ones of LOADED_ALONE import: finding and reading
 * each file takes time at a start, and whoever is not `serve` loads no more than it needs.
 */
const startFiles = {
  debugName: 'start',
  name(id: string, modules: Modules): string | null {
    if (closures.length === 0) {
      closures = Object.entries(LOADED_ALONE).map(([letter, path]) => [
        letter,
        closureOf(join(import.meta.dirname, path), modules),
      ]);
    }
    const letters = closures.filter(([, closure]) => closure.has(id)).map(([letter]) => letter);
    return letters.includes('s') ? `start-${letters.join('')}` : null;
  },
};

const library = {
  platform: 'node' as const,
  external: [/^[^./]/],
};

export default defineConfig([
  {
    input: ['src/main.ts', 'src/load-thread.ts'],
    platform: 'node',
    // Nothing imports the exports of an entry; rolldown asks for this where groups leave dependencies out.
    preserveEntrySignatures: 'allow-extension',
    plugins: [leanBuiltins, withoutUnused, inlinePage, asciiOnly],
    output: {
      dir: 'dist',
      entryFileNames: '[name].js',
      chunkFileNames: 'chunks/[name].js',
      format: 'esm',
      minify: false,
      codeSplitting: { includeDependenciesRecursively: false, groups: [startFiles] },
    },
  },
  { ...library, input: 'src/index.ts', output: { file: 'dist/index.js', format: 'esm' } },
  { ...library, input: 'src/http-proxy.ts', output: { file: 'dist/http-proxy.js', format: 'esm' } },
]);
