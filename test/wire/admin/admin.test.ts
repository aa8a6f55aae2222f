// The admin port over a real socket, in front of a fake splitter: every endpoint, its refusals, its safety fields.
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AdminServer, startAdmin } from '../../../src/admin/server.ts';
import { FAULT_CODES } from '../../../src/errors.ts';
import { ReloadStatus } from '../../../src/telemetry/running.ts';
import { type FakeRunning, fakeConfig, fakeGeneration, fakeRunning } from '../../support/fake-running.ts';
import { ProgramRun } from '../../support/program.ts';

const ANY_PORT = { host: '127.0.0.1', port: 0, path: null } as const;

let running: FakeRunning;
let reloads: ReloadStatus;
let admin: AdminServer;

beforeEach(async () => {
  running = fakeRunning();
  reloads = new ReloadStatus();
  admin = await startAdmin(running, ANY_PORT, reloads);
});
afterEach(() => admin.close());

const get = (path: string, init: RequestInit = {}) => fetch(admin.address + path, init);

/** The answer to raw bytes: fetch sends neither a Host of its own choice nor a path with odd bytes. */
async function raw(request: string): Promise<string> {
  const socket = connect(Number(new URL(admin.address).port), '127.0.0.1');
  socket.end(request);
  return text(socket);
}
const withHost = (host: string, more = '') =>
  raw(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`);
const statusOf = (answer: string) => Number(answer.slice(9, 12));

describe('liveness and readiness', () => {
  test('/healthz answers 200 in every state', async () => {
    for (const state of ['starting', 'serving', 'draining', 'stopped'] as const) {
      running.state = state;
      const response = await get('/healthz');
      expect([response.status, await response.text()]).toEqual([200, 'ok\n']);
    }
  });

  test.each([
    ['starting', 503, 'not ready: starting'],
    ['serving', 200, 'ready'],
    ['draining', 503, 'not ready: draining'],
    ['stopped', 503, 'not ready: stopped'],
  ] as const)('/readyz while %s answers %i and says why', async (state, status, sentence) => {
    running.state = state;
    const response = await get('/readyz');
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(sentence);
  });
});

test('/readyz stays 200 while an upstream is in trouble, and names it', async () => {
  const upstreams = new Map(running.generation.upstreams);
  upstreams.set('b', { name: 'b', trouble: 'b.test cannot be resolved', describe: () => [] });
  running.generation = { ...running.generation, upstreams };
  const response = await get('/readyz');
  expect([response.status, await response.text()]).toEqual([
    200,
    'ready\nupstream b: b.test cannot be resolved\n',
  ]);
});

describe('numbers', () => {
  test('/metrics answers in the Prometheus text format', async () => {
    const response = await get('/metrics');
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await response.text()).toContain('splitter_config_info{hash="0123456789ab"} 1');
  });

  test('/status says what runs and what was counted, in version 1 of its shape', async () => {
    const a = running.counters.variant('appversion', 'version_1a', 'a');
    const b = running.counters.variant('appversion', 'version_1b', 'b');
    for (const status of [200, 200, 404]) {
      a.begin();
      a.end(status, -1, 10, 100, 1000);
    }
    b.begin();
    b.end(502, FAULT_CODES.indexOf('UPSTREAM_RESET'), 2, 1, 2);
    b.begin();
    running.counters.upstream('b').connectionOpened();
    running.counters.downstream.refused(FAULT_CODES.indexOf('BAD_HOST'));

    const status = await (await get('/status')).json();
    expect(status).toMatchObject({
      version: 1,
      state: 'serving',
      program: { version: expect.any(String), node: process.versions.node },
      listening: ['http://127.0.0.1:8000'],
      generation: { number: 1, hash: '0123456789ab', acceptedAt: '2030-01-02T03:04:05.000Z' },
      lastReload: { successful: true, problems: [], failures: 0 },
      splits: [
        {
          name: 'appversion',
          key: '$arg_token',
          method: 'ranges',
          missingKey: 'default',
          requests: 4,
          variants: [
            {
              name: 'version_1a',
              upstream: 'a',
              shareRatio: expect.closeTo(0.5, 6),
              observedRatio: 0.75,
              requests: 3,
              requestsByClass: { '2xx': 2, '4xx': 1 },
              requestsByFault: {},
              requestsInFlight: 0,
              receivedBytes: 300,
              sentBytes: 3000,
              durationSumSeconds: 0.03,
            },
            {
              name: 'version_1b',
              observedRatio: 0.25,
              requestsInFlight: 1,
              requestsByFault: { UPSTREAM_RESET: 1 },
            },
          ],
        },
      ],
      upstreams: [
        { name: 'a', url: 'http://a.test', connectionsOpen: 0 },
        { name: 'b', url: 'http://b.test:8080', connectionsOpen: 1, connectionsOpened: 1 },
      ],
      downstream: { refusals: { BAD_HOST: 1 } },
    });
  });

  test('/status shows unique keys and the verdict, and the registers only when asked', async () => {
    const [splitter] = running.generation.splitters.values();
    const config = running.generation.config.splits.get('appversion')!;
    const sample = running.counters.sample('appversion', splitter!.variants, config);
    for (let key = 0; key < 400; key += 1) sample.add(key % 2, Math.imul(key, 0x9e3779b1) >>> 0);
    const ask = async (path: string) => {
      const { splits } = (await (await get(path)).json()) as { splits: { variants: object[] }[] };
      return splits[0]!;
    };
    const split = await ask('/status');
    expect(split).toMatchObject({
      sample: { mismatch: false, pValue: expect.any(Number), precision: 16 },
      variants: [{ uniqueKeys: expect.any(Number) }, { uniqueKeysStandardError: expect.any(Number) }],
    });
    expect(split.variants[0]).not.toHaveProperty('registers');
    const { registers } = (await ask('/status?registers')).variants[0] as { registers: string };
    expect(Buffer.from(registers, 'base64')).toEqual(Buffer.from(sample.assigned.registers.registers(0)));
  });

  test('/metrics is OpenMetrics for clients that accept it', async () => {
    const plain = await get('/metrics');
    expect(plain.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const { headers, body } = await get('/metrics', {
      headers: { accept: 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5' },
    }).then(async (answer) => ({ headers: answer.headers, body: await answer.text() }));
    expect(headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect(body).toMatch(/\n# EOF\n$/);
  });

  test('/status says what is found in a sample, since when, and how far each variant is from the others', async () => {
    const [splitter] = running.generation.splitters.values();
    const config = running.generation.config.splits.get('appversion')!;
    const sample = running.counters.sample('appversion', splitter!.variants, config);
    for (let key = 0; key < 3000; key += 1) {
      const hash = Math.imul(key, 0x9e3779b1) >>> 0;
      const variant = hash < 2 ** 31 ? 0 : 1;
      sample.add(variant, hash, variant === 1 && key % 5 === 0 ? 1 : 0, 8);
      if (key % 10 === 0) sample.leftOut(1, 'overrides', 0);
    }
    const { splits } = (await (await get('/status')).json()) as { splits: object[] };
    expect(splits[0]).toMatchObject({
      sample: { since: sample.since.toISOString(), keys: expect.closeTo(3000, -1), movedKeys: null },
      verdict: {
        level: 'stop',
        state: 'hurts',
        sentence: expect.stringMatching(/^version_1b hurts: \+20\.\d points of users with errors \(1\d/),
        alarms: [
          {
            trouble: 'errors',
            level: 'stop',
            variant: 'version_1b',
            since: expect.stringMatching(/^\d{4}-.*Z$/),
            present: true,
          },
          { trouble: 'exposure', variant: 'version_1b' },
        ],
      },
      outside: { keyless: 0, overrides: 300, ratio: expect.closeTo(300 / 3300, 5) },
      variants: [
        {
          sample: {
            endings: { answered: expect.any(Number) },
            failedKeys: 0,
            errorRatio: 0,
            p50Seconds: 0.0075,
          },
          against: {
            errors: { value: expect.any(Number), lower: expect.any(Number), upper: expect.any(Number) },
          },
          last15Minutes: { requests: expect.any(Number), failed: 0, errorRatio: 0 },
        },
        {
          sample: { overrides: 300, requestsPerKey: expect.closeTo(1, 2) },
          last15Minutes: { failed: expect.any(Number) },
        },
      ],
    });
  });

  test('/status names the problems of a refused configuration', async () => {
    reloads.refused(['splitter.yaml:9:18 splits.x.share: expected …, got "x"']);
    expect(await (await get('/status')).json()).toMatchObject({
      lastReload: {
        successful: false,
        failures: 1,
        problems: ['splitter.yaml:9:18 splits.x.share: expected …, got "x"'],
      },
    });
  });
});

describe('/config', () => {
  test('shows the effective configuration as a file says it, defaults filled in', async () => {
    running.generation = fakeGeneration(
      fakeConfig({
        listen: ['127.0.0.1:8000', 'unix:/run/splitter.sock', '[::1]:8001'],
        admin: ':9901',
        timeouts: { requestHead: '1500ms', tunnelIdle: '2h' },
        limits: { requestBody: '1536KiB' },
        drain: { grace: '0ms' },
      }),
    );
    const { config, ...rest } = (await (await get('/config')).json()) as { config: object };
    expect(rest).toEqual({ version: 1, generation: 1, hash: '0123456789ab' });
    expect(config).toMatchObject({
      listen: ['127.0.0.1:8000', 'unix:/run/splitter.sock', '[::1]:8001'],
      admin: ':9901',
      upstreams: { a: { url: 'http://a.test', pool: { queueTimeout: '5s', maxAge: '5m' } } },
      splits: {
        appversion: {
          key: '$arg_token',
          variants: [
            { name: 'version_1a', share: '50%', upstream: 'a' },
            { name: 'version_1b', share: '*', upstream: 'b' },
          ],
        },
      },
      timeouts: { requestHead: '1500ms', requestBody: '1m', idle: '75s', tunnelIdle: '2h' },
      limits: { requestBody: '1536KiB', connections: 10_000 },
      drain: { grace: '0ms', deadline: '25s' },
    });
    expect(config).not.toHaveProperty('hash');
  });
});

describe('/explain', () => {
  const explain = async (query: string) => (await get(`/explain?${query}`)).json();

  test('says key, hash, position, range, variant and reason', async () => {
    expect(await explain('url=/x?token=alice')).toEqual({
      version: 1,
      generation: { number: 1, hash: '0123456789ab' },
      request: { method: 'GET', url: '/x?token=alice', host: 'localhost' },
      split: 'appversion',
      method: 'ranges',
      missingKey: 'default',
      keySource: '$arg_token',
      isMinted: false,
      isRemembered: false,
      enrolment: null,
      isTargeted: true,
      override: null,
      key: 'alice',
      hash: 479601241,
      positionPercent: expect.closeTo(11.1666, 3),
      range: { from: 0, end: 2147483647 },
      scores: null,
      variant: 'version_1a',
      upstream: 'a',
      shareRatio: expect.closeTo(0.5, 6),
      reason: 'share',
    });
  });

  test('takes a URL as it stands, up to the end of the query', async () => {
    expect(await explain('url=/x?a=1&token=a%62c&b=2')).toMatchObject({ key: 'a%62c' });
  });

  test('takes an encoded URL decoded once', async () => {
    expect(await explain(`url=${encodeURIComponent('/x?token=a%62c&b=2')}`)).toMatchObject({ key: 'a%62c' });
    expect(await explain(`split=appversion&url=${encodeURIComponent('/?token=é')}`)).toMatchObject({
      hash: 876201565,
      variant: 'version_1a',
    });
  });

  test('takes an absolute URL, whose authority becomes the host', async () => {
    expect(await explain('url=http://shop.example:8888/?token=token')).toMatchObject({ hash: 2222849947 });
  });

  test('says that a key is missing and what happens then', async () => {
    expect(await explain('url=/')).toMatchObject({ key: '', reason: 'missing_key', variant: 'version_1b' });
  });

  test('follows the routes by host and path, and says when none takes the request', async () => {
    running.generation = fakeGeneration({
      ...fakeConfig(),
      routes: [
        { host: 'shop.example', path: '/', split: 'appversion' },
        { host: 'shop.example', path: '/static/', upstream: 'a' },
        { host: '*.example', path: '/', upstream: 'b' },
      ],
    });
    expect(await explain('host=shop.example&url=/?token=abc')).toMatchObject({ split: 'appversion' });
    expect(await explain('host=shop.example&url=/static/x?token=abc')).toMatchObject({
      split: null,
      upstream: 'a',
    });
    expect(await explain('host=other.example&url=/static/')).toMatchObject({ upstream: 'b' });
    expect(await explain('host=other.test&split=appversion&url=/?token=abc')).toMatchObject({
      hash: 324500635,
    });
    expect(await explain('host=other.test&url=/')).toMatchObject({
      fault: { code: 'NO_ROUTE', status: 404 },
    });
  });

  test('names the fault where the data plane would refuse the request', async () => {
    expect(await explain('url=/a%20b')).toMatchObject({ variant: 'version_1b' });
    expect(await explain('url=%2Fa b')).toMatchObject({ fault: { code: 'BAD_REQUEST_LINE', status: 400 } });
    expect(await explain('host=a/b&url=/')).toMatchObject({ fault: { code: 'BAD_HOST' } });
    expect(await explain('header=bad name:x&url=/')).toMatchObject({ fault: { code: 'BAD_FIELD' } });
  });

  test.each([
    ['', 'got no url'],
    ['token=42', 'got "token"'],
    ['split=none&url=/', 'expected split= to name one of: appversion; got "none"'],
    ['header=a:b%0d%0aHost: c&url=/', 'got a line end'],
  ])('says what is wrong with the question %j', async (query, sentence) => {
    const response = await get(`/explain?${query}`);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(sentence);
  });
});

describe('refusals', () => {
  test('a path that does not exist is answered with 404 and with what exists', async () => {
    const response = await get('/metricz');
    expect(response.status).toBe(404);
    const body = await response.text();
    expect(body).toContain('there is no /metricz here');
    expect(body).toContain('/metrics');
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('%s is answered with 405', async (method) => {
    const response = await get('/status', { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET, HEAD');
    expect(await response.text()).toContain(`expected GET or HEAD, got ${method}`);
  });

  test('HEAD has the fields of GET and no body', async () => {
    const [head, full] = [await get('/status', { method: 'HEAD' }), await get('/config')];
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(head.headers.get('content-type')).toBe(full.headers.get('content-type'));
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(100);
  });
});

describe('the page', () => {
  /** The page and every script of it, by the paths under which a browser asks for them. */
  async function filesOf(address: string): Promise<Map<string, string>> {
    const files = new Map<string, string>();
    const waiting = ['/'];
    for (const path of waiting) {
      const response = await fetch(address + path);
      expect([path, response.status]).toEqual([path, 200]);
      expect(response.headers.get('content-type')).toBe(
        path === '/' ? 'text/html; charset=utf-8' : 'text/javascript; charset=utf-8',
      );
      const body = await response.text();
      files.set(path, body);
      for (const [, own, imported] of body.matchAll(/<script src="(.+?)"|^import [^;]+ from '\.(.+?)';$/gm)) {
        const next = own ?? imported!;
        if (!waiting.includes(next)) waiting.push(next);
      }
    }
    return files;
  }

  test('is served with every module that it imports, by the sources and by the built program alike', async () => {
    const files = await filesOf(admin.address);
    expect([...files.keys()]).toEqual(
      expect.arrayContaining(['/page.js', '/split-view.js', '/plot.js', '/explain.js', '/uplot.js']),
    );
    const program = new ProgramRun(['serve', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'], {
      SPLIT: '50% http://127.0.0.1:9; * http://127.0.0.1:9',
    });
    try {
      const { admin: address } = (await program.event('serving')) as { admin: string };
      expect(await filesOf(address)).toEqual(files);
    } finally {
      program.kill();
    }
  });
});

describe('against pages of strangers', () => {
  test('every answer forbids scripts, frames, sniffing and caches, and allows no other origin', async () => {
    for (const path of ['/', '/status', '/nowhere']) {
      const { headers } = await get(path);
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'/,
      );
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  test.each([
    '127.0.0.1:9901',
    '10.2.3.4',
    '[::1]:9901',
    'localhost:9901',
    'LOCALHOST.',
    'splitter:9901',
    'splitter.shop.svc',
    'splitter.shop.svc.cluster.local:9901',
    'host.docker.internal:9901',
  ])('Host %s is answered', async (host) => {
    expect(statusOf(await withHost(host))).toBe(200);
  });

  // A page of evil.example points its own name at 127.0.0.1 once it is loaded, and the browser then lets it read
  // http://evil.example:9901/config: the name is the only thing that gives it away.
  test.each([
    'evil.example:9901',
    'localhost.evil.example',
    'splitter.shop.svc.evil.example',
    '127.0.0.1.evil.example',
    '127.0.0.1@evil.example',
    '1.2.3.4.5',
    'evil.example%00.svc',
    'evil.example\u00a0.svc',
    'localhost:99999999',
    'a b',
    '.svc',
    '[evil.example]',
    '',
  ])('Host %j of a rebound name is refused and sees nothing', async (host) => {
    const answer = await withHost(host);
    expect(statusOf(answer)).toBe(403);
    expect(answer).not.toContain('ok\n');
  });

  test('HTTP/1.0 without Host, as old probes send it, is answered', async () => {
    expect(statusOf(await raw('GET /healthz HTTP/1.0\r\n\r\n'))).toBe(200);
  });

  test('a script of another origin is refused, a link from elsewhere is not', async () => {
    expect(statusOf(await withHost('localhost', 'Origin: http://evil.example\r\n'))).toBe(403);
    expect(statusOf(await withHost('localhost', 'Origin: null\r\n'))).toBe(403);
    expect(statusOf(await withHost('localhost', 'Origin: http://localhost\r\n'))).toBe(200);
    const image = 'Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n';
    expect(statusOf(await withHost('localhost', image))).toBe(403);
    const link = 'Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n';
    expect(statusOf(await withHost('localhost', link))).toBe(200);
  });
});

describe('listening', () => {
  test('a port that is taken rejects with EADDRINUSE', async () => {
    const port = Number(new URL(admin.address).port);
    await expect(startAdmin(running, { host: '127.0.0.1', port, path: null })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });

  test('close ends connections that are kept alive', async () => {
    const socket = connect(Number(new URL(admin.address).port), '127.0.0.1');
    const answer = text(socket);
    socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    await admin.close();
    expect(await answer).toContain('200 OK');
  });
});
