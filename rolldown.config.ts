// Builds what ships: one self-contained dist/main.js for the image and the benches, and the library entries for
// embedders, whose dependencies stay outside. Not minified and without a source map: a stack trace names the
// functions of the sources as they are, a map would only be read with --enable-source-maps, which costs memory and
// start time, and minifying was measured to save neither (start 190 ms and 81 MiB with and without).
import { defineConfig } from 'rolldown';
import { readPage } from './src/admin/page/assets.ts';

/**
 * `import` of node:http reads every one of its exports, and one of them (WebSocket) loads the undici that is inside
 * of Node: 20 ms and 6 MiB at start. Taken with getBuiltinModule, only what is named is read.
 */
const leanHttp = {
  name: 'lean-node-http',
  resolveId: (id: string) => (id === 'node:http' ? '\0node:http' : null),
  load(id: string) {
    if (id !== '\0node:http') return null;
    const names = Object.keys(process.getBuiltinModule('node:http')).filter(
      (name) => !['WebSocket', 'CloseEvent', 'MessageEvent'].includes(name),
    );
    return `const { ${names.join(', ')} } = process.getBuiltinModule('node:http');\nexport { ${names.join(', ')} };`;
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

const library = {
  platform: 'node' as const,
  external: [/^[^./]/],
};

export default defineConfig([
  {
    input: 'src/main.ts',
    platform: 'node',
    plugins: [leanHttp, inlinePage, asciiOnly],
    output: { file: 'dist/main.js', format: 'esm', codeSplitting: false, minify: false },
  },
  { ...library, input: 'src/index.ts', output: { file: 'dist/index.js', format: 'esm' } },
  { ...library, input: 'src/http-proxy.ts', output: { file: 'dist/http-proxy.js', format: 'esm' } },
]);
