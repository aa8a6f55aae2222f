// The admin page in states that a person meets at 3 am: nothing has happened yet, a variant fails, the splitter is gone, a
// thousand variants, a phone, forced colors. SCREENSHOTS=DIR keeps a picture of each.
import { existsSync, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AdminServer, startAdmin } from '../../src/admin/server.ts';
import { Ambassador } from '../../src/ambassador.ts';
import { ENDING } from '../../src/telemetry/epoch.ts';
import { type FakeRunning, fakeConfig, fakeGeneration, fakeRunning } from '../support/fake-running.ts';

const CHROMIUM = '/usr/bin/chromium';
const ANY = { host: '127.0.0.1', port: 0, path: null } as const;
const PHONE = { viewport: { width: 390, height: 844 } };
const pictures = process.env.SCREENSHOTS;
if (pictures !== undefined) mkdirSync(pictures, { recursive: true });

const hasChromium = existsSync(CHROMIUM);
if (!hasChromium) console.warn(`skipped: ${CHROMIUM} is not installed (Debian package chromium)`);

describe.skipIf(!hasChromium)('the page', () => {
  let browser: Browser;
  let axe: string;
  let running: FakeRunning;
  let admin: AdminServer;

  beforeAll(async () => {
    axe = await readFile(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    });
  });
  afterAll(() => browser?.close());

  beforeEach(async () => {
    running = fakeRunning();
    admin = await startAdmin(running, ANY);
  });
  afterEach(() => admin.close());

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    await page.goto(`${admin.address}/`);
    await page.getByText('serving', { exact: true }).waitFor();
    return page;
  }

  /** No accessibility fault, no sideways scrolling; a picture where one is wanted. */
  async function judge(page: Page, name: string): Promise<void> {
    if (pictures !== undefined) await page.screenshot({ path: join(pictures, `${name}.png`) });
    // Evaluated by the debugger, which the page's content security policy does not bind.
    await page.evaluate(axe);
    const { violations } = (await page.evaluate('axe.run()')) as {
      violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
    };
    expect(
      violations.map(({ id, nodes }) => [id, nodes.map((node) => [node.html, node.failureSummary])]),
    ).toEqual([]);
    const { width } = page.viewportSize()!;
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
  }

  /** Users of each variant, of whom those of version_1b meet errors. */
  function useBoth(users: number, failuresOfTen = 5): void {
    const { splitters, config } = running.generation;
    const { variants } = splitters.get('appversion')!;
    const sample = running.counters.sample('appversion', variants, config.splits.get('appversion')!);
    for (let user = 0; user < users; user += 1) {
      const hash = Math.imul(user, 0x9e3779b1) >>> 0;
      const index = hash < 2 ** 31 ? 0 : 1;
      const { name, upstream } = variants[index]!;
      const row = running.counters.variant('appversion', name, upstream);
      row.begin();
      const isFailed = index === 1 && user % 10 < failuresOfTen;
      row.end(isFailed ? 502 : 200, -1, 5 + (user % 50), 300, 900);
      sample.add(index, hash, isFailed ? ENDING.failed : ENDING.answered, 5 + (user % 50));
    }
  }

  test('says that nothing can be judged before the first request, and claims nothing to be reachable', async () => {
    const page = await open();
    await page.getByText('1 split: 1 cannot be trusted yet', { exact: true }).waitFor();
    expect(await page.locator('main .good').count()).toBe(0);
    await judge(page, 'empty-light');
    await page.context().close();
  });

  test('shows errors in percent before counts, and draws its charts as wide as their places at load', async () => {
    useBoth(2000);
    const page = await open();
    const heads = page.locator('#splits thead th');
    expect((await heads.allTextContents()).slice(0, 2)).toEqual(['Variant', 'Errors']);
    await page
      .getByRole('row', { name: 'version_1b' })
      .getByText(/^(49|50|51)\.\d\d %$/)
      .first()
      .waitFor();
    await page.locator('canvas').nth(2).waitFor();
    const widths = await page.evaluate(
      "[...document.querySelectorAll('.chart')].map((place) => [place.clientWidth, place.querySelector('.uplot').clientWidth])",
    );
    for (const [place, drawn] of widths as [number, number][]) expect(drawn).toBe(place);
    await page.getByText('1 split: 1 hurts', { exact: true }).waitFor();
    const sentence = /^appversion: version_1b hurts: \+\d+\.?\d* points of users with errors/;
    await page.locator('#troubles').getByText(sentence).waitFor();
    await page.locator('.chart').first().hover();
    await judge(page, 'failing-light');
    await page.context().close();
  });

  test('shows state, verdict and errors of both variants in the first screen of a phone', async () => {
    useBoth(2000);
    const page = await open({ ...PHONE, colorScheme: 'dark' });
    for (const row of ['version_1a', 'version_1b']) {
      const box = await page.getByRole('row', { name: row }).getByRole('cell').first().boundingBox();
      expect(box!.y + box!.height).toBeLessThanOrEqual(844);
      expect(box!.x + box!.width).toBeLessThanOrEqual(390);
    }
    await judge(page, 'failing-phone-dark');
    await page.context().close();
  });

  test('keeps its contrast and shows nothing in green once the splitter is gone', async () => {
    useBoth(2000, 0);
    const page = await open();
    await page.locator('main .good').first().waitFor();
    await admin.close();
    await page.locator('#gone').waitFor({ state: 'visible' });
    const colors = await page.evaluate(
      "[...document.querySelectorAll('main .good')].map((node) => getComputedStyle(node).color)",
    );
    const text = await page.evaluate("getComputedStyle(document.querySelector('h1')).color");
    expect(new Set(colors as string[])).toEqual(new Set([text]));
    await judge(page, 'gone-light');
    await page.context().close();
    admin = await startAdmin(running, ANY);
  });

  test('keeps the colors of the variants where the system forces its own', async () => {
    useBoth(2000);
    const page = await open({ forcedColors: 'active' });
    const grounds = await page.evaluate(
      "[...document.querySelectorAll('.part, .swatch')].map((node) => getComputedStyle(node).backgroundColor)",
    );
    expect(new Set(grounds as string[]).size).toBe(2);
    await judge(page, 'forced-colors');
    await page.context().close();
  });

  test('draws at most 50 of a thousand variants, and finds the others by a filter', async () => {
    const variants = Array.from({ length: 100 }, (_, index) => ({
      name: `variant-${index}`,
      ...(index === 99 ? { share: '*' } : { share: '1%' }),
      upstream: index % 2 === 0 ? 'a' : 'b',
    }));
    const splits = Object.fromEntries(
      Array.from({ length: 10 }, (_, index) => [`split-${index}`, { variants }]),
    );
    const config = fakeConfig({ splits });
    running.generation = fakeGeneration({
      ...config,
      routes: [{ path: '/', exact: false, split: 'split-0' }],
    });
    const page = await open({ colorScheme: 'dark' });
    await page.getByText('50 of 1,000 variants').waitFor();
    expect(await page.locator('#splits tbody tr').count()).toBe(50);
    await page.getByLabel('Filter').fill('VARIANT-77');
    await page.getByText('10 of 10 found in 1,000 variants').waitFor();
    expect(await page.locator('#splits tbody tr').count()).toBe(10);
    await judge(page, 'thousand-dark');
    await page.context().close();
  });

  test('links to its numbers as CSV and JSON, one line for each variant', async () => {
    useBoth(100);
    const page = await open();
    const link = page.getByRole('link', { name: 'CSV' });
    expect(await link.getAttribute('href')).toBe('/status.csv');
    const lines = (await (await fetch(`${admin.address}/status.csv`)).text()).trimEnd().split('\r\n');
    expect(lines.map((line) => line.split(',').slice(0, 3).join())).toEqual([
      'split,variant,upstream',
      'appversion,version_1a,a',
      'appversion,version_1b,b',
    ]);
    await page.context().close();
  });

  test('says why and since when a guard has stopped a split, and which steps of coverage come', async () => {
    const { appversion } = Object.fromEntries(fakeConfig().splits);
    const guard = { errors: { worseBy: '1 point' } };
    const steps = [
      { at: '2020-01-01T00:00Z', to: '50%' },
      { at: '2100-01-01T00:00Z', to: '100%' },
    ];
    const variants = [
      { name: 'version_1a', share: '50%', upstream: 'a' },
      { name: 'version_1b', share: '*', upstream: 'b' },
    ];
    const split = { key: appversion!.key, variants, control: 'version_1a', coverage: { steps }, guard };
    const ambassador = new Ambassador(fakeConfig({ splits: { appversion: split } }), {
      log: pino({ level: 'silent' }),
      lookup: async () => ['127.0.0.1'],
    });
    running.generation = { ...ambassador.generation, acceptedAt: new Date('2030-01-02T03:04:05Z') };
    running.guards = ambassador.guards;
    const page = await open();
    await page.getByText(/50(\.0+)? % of the keys take part/).waitFor({ state: 'attached' });
    const counts = ambassador.guards.countsOf('appversion')!;
    for (let user = 0; user < 4000; user += 1)
      counts.add(user & 1, Math.imul(user, 0x9e3779b1) >>> 0, user % 4 === 1, 5);
    expect(ambassador.guards.look(ambassador.generation.splitters)).toBe(true);
    await page.getByText('stopped by its guard').first().waitFor();
    const sentence =
      /The guard gives every key version_1a, since .*: \d\d(\.\d+)? % of the keys of version_1b met a failure, 0(\.0+)? % of those of version_1a/;
    await page.locator('#troubles').getByText(sentence).waitFor();
    await page.getByText(/ · stopped · .*next step/).waitFor({ state: 'attached' });
    expect(await page.getByText(/of the keys take part/).count()).toBe(0);
    await judge(page, 'stopped-light');
    await page.context().close();
  });
});
