// A real Prometheus scrapes a splitter with traffic: the numbers arrive, and every query of docs/metrics.md answers.
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type AdminServer, startAdmin } from '../../../src/admin/server.ts';
import { Ambassador } from '../../../src/ambassador.ts';
import { type Echo, startEcho } from '../../../src/demo/echo.ts';
import { fakeConfig } from '../../support/fake-running.ts';
import { Prometheus, prometheusMissing } from '../../support/prometheus.ts';

if (prometheusMissing !== undefined) console.warn(`skipped: ${prometheusMissing}`);

const DOCUMENT = new URL('../../../docs/metrics.md', import.meta.url);
const QUERIES = [...readFileSync(DOCUMENT, 'utf8').matchAll(/^\| ([^|`]+) \| `([^`]+)` \|$/gm)].map(
  (match) => ({
    question: match[1]!,
    query: match[2]!,
  }),
);
/** Queries for an alert: no answer is the good answer. */
const isAlert = (query: string) => /(==|>|<) \d+$/.test(query);

describe.skipIf(prometheusMissing !== undefined)('a Prometheus that scrapes the admin port', () => {
  let echo: Echo;
  let gone: Echo;
  let ambassador: Ambassador;
  let admin: AdminServer;
  let prometheus: Prometheus;
  const answers = new Map<number, number>();
  const soon = { timeout: 25_000, interval: 250 };

  beforeAll(async () => {
    [echo, gone] = await Promise.all([startEcho('a'), startEcho('gone')]);
    await gone.close();
    const config = fakeConfig({
      listen: '127.0.0.1:0',
      upstreams: { a: { url: echo.url }, b: { url: gone.url } },
    });
    ambassador = new Ambassador(config, { log: pino({ level: 'silent' }) });
    await ambassador.start();
    admin = await startAdmin(ambassador, { host: '127.0.0.1', port: 0, path: null });
    prometheus = await Prometheus.scraping(new URL(admin.address).host);
    await traffic(0, 100);
    // A rate needs a change between two scrapes.
    await vi.waitUntil(async () => (await prometheus.query('splitter_requests_total > 0')).length > 0, soon);
    await traffic(100, 200);
  });

  async function traffic(from: number, to: number): Promise<void> {
    // All at once: those for the upstream that is gone wait for it for up to two seconds.
    const tokens = Array.from({ length: to - from }, (_, i) => from + i);
    await Promise.all(
      tokens.map(async (token) => {
        const { status } = await fetch(`${ambassador.listening[0]}/?token=${token}`);
        answers.set(status, (answers.get(status) ?? 0) + 1);
      }),
    );
  }
  afterAll(async () => {
    await prometheus?.stop();
    await admin.close();
    await ambassador.stop();
    await echo.close();
  });

  test('has the numbers of each variant', async () => {
    const codes = async () => {
      const series = await prometheus.query('sum by (variant, code) (splitter_requests_total) > 0');
      return series.map(({ metric, value }) => [metric.variant, metric.code, value]);
    };
    await expect.poll(codes, soon).toEqual(
      expect.arrayContaining([
        ['version_1a', '2xx', answers.get(200)],
        ['version_1b', '5xx', 200 - answers.get(200)!],
      ]),
    );
  });

  test.each(QUERIES)('answers "$question"', async ({ query }) => {
    if (isAlert(query)) {
      expect(await prometheus.query(query)).toEqual([]);
      const [measured] = query.split(/ (?:==|>|<) /);
      await expect.poll(() => prometheus.query(measured!), soon).not.toEqual([]);
      return;
    }
    const values = async () => (await prometheus.query(query)).map(({ value }) => value);
    await expect.poll(async () => (await values()).some((value) => value > 0), soon).toBe(true);
  });

  test('there are queries to answer', () => {
    expect(QUERIES.length).toBeGreaterThan(5);
  });
});
