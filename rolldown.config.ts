// Builds what ships: one self-contained dist/main.js for the image and the benches, and the library
// entries for embedders, whose dependencies stay outside.
import { defineConfig } from 'rolldown';

const library = {
  platform: 'node' as const,
  external: [/^[^./]/],
};

export default defineConfig([
  {
    input: 'src/main.ts',
    platform: 'node',
    output: { file: 'dist/main.js', format: 'esm', codeSplitting: false, minify: false },
  },
  { ...library, input: 'src/index.ts', output: { file: 'dist/index.js', format: 'esm' } },
  { ...library, input: 'src/http-proxy.ts', output: { file: 'dist/http-proxy.js', format: 'esm' } },
]);
