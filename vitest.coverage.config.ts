// `npx vitest run --config vitest.coverage.config.ts`: which lines of each folder the tests reach within their own process.
// Programs that tests start as processes do not count, so tests that only start some are left out.
import { configDefaults, defineConfig } from 'vitest/config';

/** Lines of each folder that have to be reached, in percent. A floor may only rise. */
const LINES_MIN: Readonly<Record<string, number>> = {
  admin: 97,
  cli: 95,
  config: 97,
  embed: 97,
  downstream: 95,
  exchange: 98,
  fleet: 94,
  http1: 99,
  key: 98,
  routing: 98,
  service: 93,
  split: 98,
  telemetry: 85,
  transport: 98,
  trust: 98,
  upstream: 97,
  workers: 82,
};

/** Their files share a process, which saves its start, as in vitest.config.ts. */
const SHARING = [
  'test/unit/**/*.test.ts',
  'test/{property,conformance}/**/*.test.ts',
  'test/wire/{http1,upstream,config,admin}/**/*.test.ts',
];

/** These start programs, in which no line is counted. */
const PROGRAMS = [
  'test/cli/cli-docs.test.ts',
  'test/wire/admin/prometheus-dashboard.test.ts',
  'test/wire/config/{experiment,unusable-file}.test.ts',
  'test/wire/lifecycle/{descriptors,drain-under-load,last-good,reload-large,sample-store,serve,signals}.test.ts',
  'test/wire/tls/program.test.ts',
  'test/wire/workers/workers.test.ts',
];

const common = {
  testTimeout: 120_000,
  hookTimeout: 120_000,
  pool: 'forks' as const,
  globalSetup: ['test/support/build-program.ts'],
};

export default defineConfig({
  test: {
    maxWorkers: 4,
    projects: [
      {
        test: {
          ...common,
          name: 'sharing',
          include: SHARING,
          exclude: [...configDefaults.exclude, ...PROGRAMS],
          isolate: false,
        },
      },
      {
        test: {
          ...common,
          name: 'alone',
          include: ['test/{wire,cli,embed,parity}/**/*.test.ts', 'test/long/nginx-files.test.ts'],
          exclude: [...configDefaults.exclude, ...PROGRAMS, ...SHARING],
        },
      },
    ],
    coverage: {
      enabled: true,
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: [['text', { skipFull: true }]],
      reportOnFailure: true,
      thresholds: Object.fromEntries(
        Object.entries(LINES_MIN).map(([folder, lines]) => [`src/${folder}/**`, { lines }]),
      ),
    },
  },
});
