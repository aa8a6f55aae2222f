// The admin page in a real Chromium, in front of a real splitter with traffic: what it shows, that it lives, that a key can
// be explained, that everybody can use it, and that it says so when the splitter is gone or a configuration was refused.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pino } from 'pino';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { History } from '../../src/admin/history.ts';
import { type AdminServer, startAdmin } from '../../src/admin/server.ts';
import { Ambassador } from '../../src/ambassador.ts';
import { type Echo, startEcho } from '../../src/demo/echo.ts';
import { ENDING } from '../../src/telemetry/epoch.ts';
import { ReloadStatus } from '../../src/telemetry/running.ts';
import { fakeConfig } from '../support/fake-running.ts';

const CHROMIUM = '/usr/bin/chromium';
const SCREENSHOT = new URL('../../docs/page.png', import.meta.url).pathname;
/** Columns of the table of a split after the name of the variant. */
const [ERRORS, REQUESTS] = [0, 8];
const ANY = { host: '127.0.0.1', port: 0, path: null } as const;

const hasChromium = existsSync(CHROMIUM);
if (!hasChromium) console.warn(`skipped: ${CHROMIUM} is not installed (Debian package chromium)`);

describe.skipIf(!hasChromium)('the page', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let a: Echo;
  let b: Echo;
  let ambassador: Ambassador;
  let admin: AdminServer;
  let reloads: ReloadStatus;
  let complaints: string[];
  let asked: string[];

  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    });
    [a, b] = await Promise.all([startEcho('a'), startEcho('b')]);
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([a?.close(), b?.close()]);
  });

  const configOf = (key = '$arg_token') =>
    fakeConfig({
      listen: '127.0.0.1:0',
      upstreams: { backend: { url: a.url }, 'backend-experiment': { url: b.url } },
      splits: {
        appversion: {
          key,
          variants: [
            { name: 'version_1a', share: '50%', upstream: 'backend' },
            { name: 'version_1b', share: '*', upstream: 'backend-experiment' },
          ],
        },
      },
    });

  beforeEach(async () => {
    ambassador = new Ambassador(configOf(), { log: pino({ level: 'silent' }) });
    reloads = new ReloadStatus();
    admin = await startAdmin(ambassador, ANY, reloads);
    await ambassador.start();
    context = await browser.newContext({ viewport: { width: 1100, height: 1000 }, colorScheme: 'light' });
    page = await context.newPage();
    complaints = [];
    asked = [];
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => asked.push(request.url()));
  });
  afterEach(async () => {
    await context.close();
    await admin.close();
    await ambassador.stop();
  });

  async function traffic(from: number, to: number): Promise<void> {
    for (let token = from; token < to; token += 1) {
      await (await fetch(`${ambassador.listening[0]}/?token=${token}`)).text();
    }
  }
  const open = async () => {
    await page.goto(`${admin.address}/`);
    await page.getByText('serving', { exact: true }).waitFor();
  };
  const cell = (row: string, column: number) =>
    page.getByRole('row', { name: row }).getByRole('cell').nth(column);
  const until = (row: string, column: number, text: string) =>
    cell(row, column)
      .and(page.getByText(text, { exact: true }))
      .waitFor();

  test('shows state, generation, shares and live numbers under traffic, and asks nobody else', async () => {
    await traffic(0, 40);
    await open();
    const { variants } = ((await (await fetch(`${admin.address}/status`)).json()) as Status).splits[0]!;
    expect(variants[0]!.requests + variants[1]!.requests).toBe(40);
    await until('version_1a', REQUESTS, String(variants[0]!.requests));
    await until('version_1b', REQUESTS, String(variants[1]!.requests));
    await until('version_1a', ERRORS, '0.00 %');
    await page.getByText('generation 1 · 0123456789ab').waitFor();
    const bar = page.getByRole('img', { name: /^observed shares/ });
    expect(await bar.getAttribute('aria-label')).toContain(
      `version_1a ${((variants[0]!.uniqueKeys / 40) * 100).toFixed(2)} %`,
    );

    await traffic(40, 60);
    const now = ((await (await fetch(`${admin.address}/status`)).json()) as Status).splits[0]!.variants;
    await until('version_1a', REQUESTS, String(now[0]!.requests));
    expect(await page.locator('canvas').count()).toBe(3);
    expect(complaints).toEqual([]);
    for (const url of asked) expect(url.startsWith(`${admin.address}/`)).toBe(true);
  });

  test('explains a typed token by keyboard alone, and a URL', async () => {
    await open();
    await page.getByLabel('Token or URL').focus();
    await page.keyboard.type('alice');
    await page.keyboard.press('Enter');
    const answer = page.locator('#answer');
    await answer.getByText('→ version_1a').waitFor();
    expect(await answer.textContent()).toContain('479,601,241');
    expect(await answer.textContent()).toContain('alice ($arg_token)');
    expect(await page.locator('.mark').first().isVisible()).toBe(true);

    await page.getByLabel('Token or URL').fill('/x?a=1&token=a%26b&c=2');
    await page.getByRole('button', { name: 'Explain' }).click();
    await answer.getByText('a%26b ($arg_token)').waitFor();

    await page.getByLabel('Token or URL').fill('é & more');
    await page.keyboard.press('Enter');
    await answer.getByText('%C3%A9%20%26%20more ($arg_token)').waitFor();

    await page.getByLabel('Token or URL').fill('/');
    await page.keyboard.press('Enter');
    await answer.getByText('none ($arg_token)').waitFor();
    expect(complaints).toEqual([]);
  });

  test('puts a token where the key text looks for it', async () => {
    ambassador.reload(configOf('$cookie_uid'));
    await open();
    await page.getByLabel('Token or URL').fill('alice');
    await page.keyboard.press('Enter');
    await page.locator('#answer').getByText('alice ($cookie_uid)').waitFor();
    ambassador.reload(configOf('$http_x_user'));
    await page.getByText('key $http_x_user').waitFor();
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.locator('#answer').getByText('alice ($http_x_user)').waitFor();
    ambassador.reload(configOf('$request_uri'));
    await page.getByText('key $request_uri').waitFor();
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.locator('#answer').getByText('type a URL').waitFor();
  });

  test('shows a refused configuration in red with its problems, until one is accepted', async () => {
    await open();
    reloads.refused(['splitter.yaml:9:18 splits.x.share: expected a percentage, got "x"']);
    const alert = page.locator('#refused');
    await alert.waitFor({ state: 'visible' });
    expect(await alert.textContent()).toContain('generation 1 runs on');
    expect(await alert.getByRole('listitem').textContent()).toBe(
      'splitter.yaml:9:18 splits.x.share: expected a percentage, got "x"',
    );
    ambassador.reload(configOf());
    reloads.accepted();
    await alert.waitFor({ state: 'hidden' });
    await page.getByText('generation 2').first().waitFor();
  });

  test('shows routes straight to an upstream, also where there is no split at all', async () => {
    const config = configOf();
    ambassador.reload({
      ...config,
      splits: new Map(),
      routes: [{ host: undefined, path: '/', upstream: 'backend' }],
    });
    await open();
    await traffic(0, 3);
    await until('every host /', 1, '3');
    await page.getByLabel('Token or URL').fill('/x?token=1');
    await page.keyboard.press('Enter');
    await page.locator('#answer').getByText('→ backend').waitFor();
    await page.getByLabel('Token or URL').fill('alice');
    await page.keyboard.press('Enter');
    await page.locator('#answer').getByText('There is no split').waitFor();
    expect(complaints).toEqual([]);
  });

  test('calls a sample ratio mismatch one', async () => {
    const { splitters, config } = ambassador.generation;
    const { variants } = splitters.get('appversion')!;
    const sample = ambassador.counters.sample('appversion', variants, config.splits.get('appversion')!);
    for (let key = 0; key < 3000; key += 1) {
      const hash = Math.imul(key, 0x9e3779b1) >>> 0;
      if (hash < 2 ** 31 || key % 4 > 0) sample.add(hash < 2 ** 31 ? 0 : 1, hash, ENDING.answered, 5);
    }
    await open();
    await page.getByText('the sample cannot be trusted', { exact: true }).waitFor();
    await page.getByText('1 split: 1 cannot be trusted', { exact: true }).waitFor();
    await page.locator('#troubles').getByText('appversion: ').first().waitFor();
  });

  test('calls an upstream reachable once a connection to it was opened, and not before', async () => {
    await open();
    await until('backend http', 0, 'not tried yet');
    await traffic(0, 20);
    await until('backend http', 0, 'reachable');
  });

  test('says so when the splitter is gone, and when it is back', async () => {
    await open();
    const { port } = new URL(admin.address);
    await admin.close();
    await page.locator('#gone').waitFor({ state: 'visible' });
    expect(await page.locator('#gone').textContent()).toContain('No answer since');
    admin = await startAdmin(ambassador, { ...ANY, port: Number(port) }, reloads);
    await page.locator('#gone').waitFor({ state: 'hidden' });
  });

  test('changes nothing of its structure while numbers change', async () => {
    await traffic(0, 5);
    await open();
    await cell('version_1a', REQUESTS).waitFor();
    await page.evaluate(`
      window.added = 0;
      new MutationObserver((records) => {
        for (const { addedNodes } of records) for (const node of addedNodes) if (node.nodeType === 1) window.added += 1;
      }).observe(document.querySelector('#splits'), { childList: true, subtree: true });
    `);
    await traffic(5, 30);
    const [{ variants }] = ((await (await fetch(`${admin.address}/status`)).json()) as Status).splits as [
      Split,
    ];
    await until('version_1a', REQUESTS, String(variants[0]!.requests));
    expect(await page.evaluate('window.added')).toBe(0);
  });

  test.each([
    ['light', 1100],
    ['dark', 1100],
    ['light', 360],
    ['dark', 360],
  ] as const)(
    'in %s at %i pixels has no accessibility fault and does not scroll sideways',
    async (colorScheme, width) => {
      await traffic(0, 20);
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      reloads.refused(['splitter.yaml:1:1 x: expected y, got z']);
      await open();
      await page.locator('#refused').waitFor({ state: 'visible' });
      await page.getByLabel('Token or URL').fill('alice');
      await page.keyboard.press('Enter');
      await page.locator('#answer').getByText('→ version_1a').waitFor();
      // Evaluated by the debugger, which the page's content security policy does not bind.
      await page.evaluate(await readFile(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8'));
      const { violations } = (await page.evaluate('axe.run()')) as {
        violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
      };
      expect(
        violations.map(({ id, nodes }) => [id, nodes.map((node) => [node.html, node.failureSummary])]),
      ).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    },
  );

  // A quarter of an hour of made-up traffic, then some real one. SCREENSHOT=1 makes the picture of the README anew.
  test('fills its charts from a history that began before it was opened', async () => {
    const { splitters, config } = ambassador.generation;
    const { variants } = splitters.get('appversion')!;
    const sample = ambassador.counters.sample('appversion', variants, config.splits.get('appversion')!);
    const rows = variants.map(({ name, upstream }) =>
      ambassador.counters.variant('appversion', name, upstream),
    );
    const begin = Date.now() - 15 * 60_000;
    const history = new History(ambassador, begin, 0);
    for (let point = 1; point <= 180; point += 1) {
      const count = 600 + 200 * Math.sin(point / 25);
      for (let request = 0; request < count; request += 1) {
        const hash = Math.imul(point * 1000 + request, 0x9e3779b1) >>> 0;
        const index = hash < 2 ** 31 ? 0 : 1;
        const row = rows[index]!;
        row.begin();
        const ms = (index === 0 ? 4 : 3) * (1 + (hash % 97) / 40) * (hash % 53 === 0 ? 9 : 1);
        const isFailed = index === 1 && point > 120 && point < 140 && hash % 61 === 0;
        row.end(isFailed ? 503 : 200, -1, ms, 300, 900);
        sample.add(index, hash, isFailed ? ENDING.failed : ENDING.answered, ms);
      }
      history.take(begin + point * 5000, point * 5000);
    }
    await page.route('**/history?*', (route) => {
      const since = Number(new URL(route.request().url()).searchParams.get('since'));
      return route.fulfill({ json: history.describe(history.firstAfter(since)) });
    });
    await page.setViewportSize({ width: 1200, height: 880 });
    await open();
    await traffic(0, 60);
    await page.getByLabel('Token or URL').fill('alice');
    await page.keyboard.press('Enter');
    await page.locator('#answer').getByText('→ version_1a').waitFor();
    await until('version_1a', REQUESTS, rows[0]!.ended.toLocaleString('en-US'));
    await page.unroute('**/history?*');
    const drawn = await page.evaluate(`[...document.querySelectorAll('canvas')].map((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const [red, green, blue] = [163, 71, 0]; // the light theme's second series
      let points = 0;
      for (let at = 0; at < data.length; at += 4) {
        if (data[at] === red && data[at + 1] === green && data[at + 2] === blue) points += 1;
      }
      return points > 50;
    })`);
    expect(drawn).toEqual([true, true, true]);
    if (process.env.SCREENSHOT === '1') await page.screenshot({ path: SCREENSHOT, fullPage: true });
  });
});

interface Split {
  variants: { requests: number; uniqueKeys: number }[];
}
interface Status {
  splits: Split[];
}
