// `npm run test:pods`: builds the image and plays the pods of k8s/ for real. The stacks that share no name run at the same
// time where the cluster can be shared; what plays all stacks in one namespace comes after them. Limits are long, since
// images are built and pods come and go as Kubernetes lets them.
import { defineConfig } from 'vitest/config';
import { findCluster } from './test/pods/support/cluster.ts';

const found = findCluster();
const isShared = typeof found !== 'string' && found.isShared;
const together = ['test/pods/together.test.ts'];

const common = {
  testTimeout: 180_000,
  hookTimeout: 300_000,
  pool: 'forks' as const,
};

export default defineConfig({
  test: {
    globalSetup: ['test/pods/support/prepare.ts'],
    fileParallelism: isShared,
    maxWorkers: isShared ? 2 : 1,
    projects: [
      {
        test: {
          ...common,
          name: 'each',
          include: ['test/pods/**/*.test.ts'],
          exclude: together,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'together',
          include: together,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
