// A running splitter without sockets, for tests of metrics and the admin port: two variants, settable state, real counters.

import { pino } from 'pino';
import { Ambassador } from '../../src/ambassador.ts';
import type { Config } from '../../src/config/options/document.ts';
import { documentSchema } from '../../src/config/options/document.ts';
import { Counters } from '../../src/telemetry/counters.ts';
import type { Running } from '../../src/telemetry/running.ts';

/** A configuration with the split "appversion" (50/50 over the upstreams a and b), with more document keys on top. */
export function fakeConfig(more: Record<string, unknown> = {}): Config {
  const document = documentSchema.parse({
    upstreams: { a: { url: 'http://a.test' }, b: { url: 'http://b.test:8080' } },
    splits: {
      appversion: {
        variants: [
          { name: 'version_1a', share: '50%', upstream: 'a' },
          { name: 'version_1b', share: '*', upstream: 'b' },
        ],
      },
    },
    ...more,
  });
  return {
    ...document,
    upstreams: new Map(Object.entries(document.upstreams)),
    splits: new Map(Object.entries(document.splits)),
    routes: [{ path: '/', exact: false, beforePatterns: false, split: 'appversion' }],
    hash: '0123456789ab',
  };
}

/** What a test may set on the fake. */
export type FakeRunning = { -readonly [K in keyof Running]: Running[K] };

/** The generation that an Ambassador makes of this configuration; its upstreams have one address and no connection. */
export function fakeGeneration(config: Config = fakeConfig()): Running['generation'] {
  return new Ambassador(config, { log: pino({ level: 'silent' }), lookup: async () => ['127.0.0.1'] })
    .generation;
}

export function fakeRunning(): FakeRunning {
  return {
    counters: new Counters(),
    state: 'serving',
    generation: { ...fakeGeneration(), acceptedAt: new Date('2030-01-02T03:04:05Z') },
    listening: ['http://127.0.0.1:8000'],
    socketIo: 'direct',
    certificates: [],
    guards: { stopFactsOf: () => undefined, isOfFleet: () => undefined, reports: () => [] },
  };
}
