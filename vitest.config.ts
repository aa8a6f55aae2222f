import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/pods/**'],
    // Some ten times what the slowest takes on a quiet machine: a limit is for a test that hangs.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // More than cores: many tests wait for processes that they have started.
    maxWorkers: 4,
  },
});
