// `npm run test:pods`: builds the image and plays the pods of k8s/ for real. One file after the other, since they
// share one cluster; long limits, since images are built and pods come and go as Kubernetes lets them.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/pods/**/*.test.ts'],
    globalSetup: ['test/pods/support/prepare.ts'],
    testTimeout: 180_000,
    hookTimeout: 300_000,
    pool: 'forks',
    fileParallelism: false,
    maxWorkers: 1,
  },
});
