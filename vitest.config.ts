import { configDefaults, defineConfig } from 'vitest/config';

/** Tests that start no process and leave nothing behind in theirs: their files share a process, which saves its start. */
const SHARING = [
  'test/unit/**/*.test.ts',
  'test/repository/bench/*.test.ts',
  'test/{golden,property,conformance,fuzz}/**/*.test.ts',
  'test/wire/{http1,upstream,config,admin}/**/*.test.ts',
];

/** What `npm run test:long` runs instead. */
const LONG = ['test/{long,chaos,soak,browser,delivery}/**'];

const common = {
  // Some ten times what the slowest takes on a quiet machine: a limit is for a test that hangs.
  testTimeout: 120_000,
  hookTimeout: 120_000,
  pool: 'forks' as const,
};

export default defineConfig({
  test: {
    // More than cores: many tests wait for processes that they have started.
    maxWorkers: 6,
    projects: [
      {
        test: {
          ...common,
          name: 'sharing',
          include: SHARING,
          isolate: false,
          globalSetup: ['test/support/build-program.ts'],
        },
      },
      {
        test: {
          ...common,
          name: 'alone',
          globalSetup: ['test/support/build-program.ts'],
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, 'test/pods/**', ...LONG, ...SHARING],
        },
      },
    ],
  },
});
