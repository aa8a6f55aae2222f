// The real program under traffic, a real Prometheus that scrapes it, and the dashboard of k8s/monitoring: each query of
// each panel returns data. One upstream is dead and one has a fallback, a client speaks plain text to a TLS port, and the
// certificate is replaced by a broken one, so that faults, too, have something to show.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { type Echo, startEcho } from '../../../src/demo/echo.ts';
import { TestAuthority } from '../../support/certificates.ts';
import { DASHBOARD, fillIn, PANELS } from '../../support/dashboard.ts';
import { ProgramRun } from '../../support/program.ts';
import { Prometheus, prometheusMissing } from '../../support/prometheus.ts';

if (prometheusMissing !== undefined) console.warn(`skipped: ${prometheusMissing}`);

const ALERTS = new URL('../../../k8s/monitoring/alerts.yaml', import.meta.url);

/** What Grafana would fill in; the window is wide enough that the traffic stays in it for the whole test. */
const VARIABLES = { job: 'splitter', split: 'appversion', __rate_interval: '5m' };
const QUERIES = PANELS.flatMap(({ title, targets = [] }) =>
  targets.map(({ refId, expr }) => ({ title, refId, query: fillIn(expr, VARIABLES) })),
);

describe.skipIf(prometheusMissing !== undefined)(
  'the dashboard over a Prometheus that scrapes the program',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'dashboard-'));
    const file = join(folder, 'splitter.yaml');
    const soon = { timeout: 60_000, interval: 250 };
    let echo: Echo;
    let dead: Echo;
    let run: ProgramRun;
    let prometheus: Prometheus;
    let origin: string;
    let tlsPort: number;
    const authority = new TestAuthority();
    const pair = authority.issue({ names: ['localhost'] });

    const configure = (responseTimeout: string, share = '60%') =>
      writeFileSync(
        file,
        `listen: ["127.0.0.1:0", { address: "127.0.0.1:0", tls: { certificate: ${pair.certificate}, key: ${pair.key} } }]
upstreamDefaults: { responseTimeout: ${responseTimeout} }
upstreams:
  alive: { url: ${echo.url} }
  dead: { url: ${dead.url} }
  covered: { url: ${dead.url}, onDown: { fallback: alive } }
splits:
  appversion:
    coverage: 100%
    guard: { errors: { worseBy: 1 point }, minimumKeys: 1000000, fleet: "http://127.0.0.1:1" }
    variants:
      - { name: version_1a, share: ${share}, upstream: alive }
      - { name: version_1b, share: 20%, upstream: dead }
      - { name: version_1c, share: "*", upstream: covered }
routes:
  - { path: /shop, split: appversion }
`,
      );

    async function traffic(from: number, to: number): Promise<void> {
      // All at once: those for the upstream that is dead wait for it for up to two seconds.
      const tokens = Array.from({ length: to - from }, (_, i) => from + i);
      await Promise.all(tokens.map((token) => fetch(`${origin}/shop?token=${token}`)));
      expect((await fetch(`${origin}/shop`)).status).toBe(200); // no key: version_1c
      expect((await fetch(`${origin}/elsewhere`)).status).toBe(404); // no route
      expect((await fetch(`http://127.0.0.1:${tlsPort}/`)).status).toBe(400); // plain text to a TLS port
    }

    beforeAll(async () => {
      [echo, dead] = await Promise.all([startEcho('alive'), startEcho('dead')]);
      await dead.close();
      configure('60s', '50%');
      run = new ProgramRun(['serve', '--config', file], { ADMIN: '127.0.0.1:0' });
      const { listening, admin } = await run.event('serving');
      const [plain, encrypted] = listening as string[];
      origin = plain!;
      tlsPort = Number(new URL(encrypted!).port);
      // A change of the shares: from now on the sample has one before it, and so a number of moved keys.
      configure('60s');
      run.signal('SIGHUP');
      await run.event('configuration accepted');
      prometheus = await Prometheus.scraping(new URL(admin as string).host);
      await traffic(0, 150);
      // A rate needs a change between two scrapes.
      const scraped = async () => (await prometheus.query('splitter_requests_total > 0')).length > 0;
      await vi.waitUntil(scraped, soon);
      await traffic(150, 300);
      configure('30s');
      writeFileSync(pair.certificate, 'broken');
      run.signal('SIGHUP');
      await run.event('configuration accepted', 1);
    });

    afterAll(async () => {
      await prometheus?.stop();
      await run?.kill();
      await echo?.close();
      rmSync(folder, { recursive: true });
      authority.close();
    });

    test.each(QUERIES)('"$title" ($refId) shows data', async ({ query }) => {
      const values = async () => (await prometheus.query(query)).map(({ value }) => value);
      await expect.poll(async () => (await values()).some(Number.isFinite), soon).toBe(true);
    });

    test('the shares that it shows are those of the configuration', async () => {
      const table = PANELS.find(({ type }) => type === 'table')!;
      const intended = table.targets!.find(({ legendFormat }) => legendFormat === 'intended')!;
      const series = await prometheus.query(fillIn(intended.expr, VARIABLES));
      expect(
        Object.fromEntries(series.map(({ metric, value }) => [metric.variant, value.toFixed(4)])),
      ).toEqual({
        version_1a: '0.6000',
        version_1b: '0.2000',
        version_1c: '0.2000',
      });
    });

    test('the error ratio of a variant whose upstream is dead is 1, and 0 of one with a fallback', async () => {
      const { targets } = PANELS.find(({ title }) => title === 'Error ratio')!;
      const ratios = async () => {
        const series = await prometheus.query(fillIn(targets![0]!.expr, VARIABLES));
        return Object.fromEntries(series.map(({ metric, value }) => [metric.variant, value]));
      };
      // Requests without a key go to the last variant.
      await expect.poll(ratios, soon).toEqual({ version_1a: 0, version_1b: 1, version_1c: 0 });
    });

    test('the alert for upstreams that are down finds both that are, without a probe', async () => {
      const alerts = parse(readFileSync(ALERTS, 'utf8')) as {
        groups: { rules: { alert?: string; expr: string }[] }[];
      };
      const rules = alerts.groups.flatMap((group) => group.rules);
      const { expr } = rules.find(({ alert }) => alert === 'SplitterUpstreamDown')!;
      // Failed connects have to be seen by several scrapes.
      const down = async () => {
        await traffic(300, 330);
        return (await prometheus.query(expr)).map(({ metric }) => metric.upstream).sort();
      };
      await expect.poll(down, soon).toEqual(['covered', 'dead']);
    });

    test('a reload is marked in its panels', async () => {
      const mark = DASHBOARD.annotations.list.find(({ name }) => name === 'Configuration accepted')!;
      const query = fillIn(mark.expr, VARIABLES);
      await expect.poll(async () => (await prometheus.query(query)).length, soon).toBe(1);
    });

    test('its lists of apps and splits are not empty', async () => {
      for (const { definition } of DASHBOARD.templating.list) {
        if (definition === undefined) continue;
        const [, query, label] = /^label_values\((.+), (\w+)\)$/.exec(definition)!;
        const series = await prometheus.query(fillIn(query!, VARIABLES));
        expect(series.map(({ metric }) => metric[label!])).toContain(VARIABLES[label as 'job' | 'split']);
      }
    });
  },
);
