// `npm run test:long`: simulations, faults side by side with nginx and HAProxy, the page in a browser, benches that run for
// real, and what is delivered (package, image, manifests, chart, workflows). CI runs them on every change; `npm test` leaves
// them out, so that it ends while one waits.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/{long,chaos,soak,browser,delivery}/**/*.test.ts'],
    globalSetup: ['test/support/build-program.ts'],
    testTimeout: 300_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 3,
  },
});
