// A reload of a large configuration in several turns of the event loop: what happens between its turns, and what comes in
// between them.
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { UnusableUpstream } from '../../../src/ambassador.ts';
import { defineSample } from '../../../src/telemetry/sample.ts';
import { NamedServer } from '../../support/named-server.ts';
import { configOf, startSplitter } from '../../support/splitter.ts';

const ROUTES = 5000;

async function start() {
  const upstream = await NamedServer.listen('a');
  const url = `http://127.0.0.1:${upstream.port}`;
  /** Half of the keys for each variant, or another share. */
  const documentOf = (share: string, routes = 0, more: Record<string, unknown> = {}) => ({
    listen: '127.0.0.1:0',
    admin: 'off',
    upstreams: { u: { url } },
    splits: {
      s: {
        key: '$arg_token',
        variants: [
          { name: 'a', share, upstream: 'u' },
          { name: 'b', share: '*', upstream: 'u' },
        ],
      },
    },
    routes: [
      ...Array.from({ length: routes }, (_, at) => ({ host: `h${at}.test`, path: `/p${at}`, split: 's' })),
      { split: 's' },
    ],
    ...more,
  });
  const splitter = await startSplitter(documentOf('50%'));
  return { splitter, ambassador: splitter.ambassador, documentOf, url };
}

describe('a reload in turns', () => {
  it('lets the generation before it take requests between its turns, and takes everything into use at once', async () => {
    const { splitter, ambassador, documentOf } = await start();
    const client = await splitter.client();
    await client.ask('GET /?token=1 HTTP/1.1\r\nHost: h\r\n\r\n');
    const before = ambassador.counters.presentSample('s');
    let isOver = false;
    const done = ambassador.reloadInTurns(configOf(documentOf('20%', ROUTES))).then((outcome) => {
      isOver = true;
      return outcome;
    });
    let answered = 0;
    while (!isOver) {
      expect(ambassador.generation.number).toBe(1);
      expect(ambassador.counters.presentSample('s')).toBe(before);
      expect((await client.ask('GET /?token=1 HTTP/1.1\r\nHost: h\r\n\r\n')).body).toBe('a');
      answered += 1;
    }
    expect(await done).toBe(true);
    expect(answered).toBeGreaterThan(2);
    expect(ambassador.generation.number).toBe(2);
    expect(ambassador.generation.config.routes).toHaveLength(ROUTES + 1);
    const after = ambassador.counters.presentSample('s');
    expect(after).not.toBe(before);
    expect(after?.before).toBe(before);
  });

  it('begins again when another generation has come in between, and is the later one', async () => {
    const { ambassador, documentOf } = await start();
    const large = configOf(documentOf('20%', ROUTES));
    const done = ambassador.reloadInTurns(large);
    ambassador.reload(configOf(documentOf('30%')));
    expect(ambassador.generation.number).toBe(2);
    expect(await done).toBe(true);
    expect(ambassador.generation.number).toBe(3);
    expect(ambassador.generation.config).toBe(large);
    expect(ambassador.counters.presentSample('s')?.before?.variants[0]?.share).toBeCloseTo(0.3);
  });

  it('begins again when the clock changes shares in between: keys never fall into the sample of other shares', async () => {
    const { ambassador, documentOf } = await start();
    const document = documentOf('20%', ROUTES);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2035-01-01T08:59:59Z') });
    onTestFinished(() => void vi.useRealTimers());
    const step = { at: '2035-01-01T09:00:00Z', to: { a: '70%', b: '*' } };
    const splits = { s: { ...document.splits.s, shareSteps: [step] } };
    const done = ambassador.reloadInTurns(configOf({ ...document, splits }));
    // Splits come before routes, of which there is much more to do.
    for (let turn = 0; turn < 5; turn++) await new Promise((next) => setImmediate(next));
    expect(ambassador.generation.number).toBe(1);
    vi.setSystemTime(Date.parse('2035-01-01T09:00:01Z'));
    expect(await done).toBe(true);
    const { config, variants } = ambassador.generation.splitters.get('s')!;
    expect(variants[0]!.share).toBeCloseTo(0.7);
    expect(ambassador.counters.presentSample('s')!.definition).toBe(defineSample(config));
  });

  it('changes nothing when the ambassador stops in between, and probes no new upstream afterwards', async () => {
    const { ambassador, documentOf, url } = await start();
    const fresh = await NamedServer.listen('b');
    const freshUrl = `http://127.0.0.1:${fresh.port}`;
    const probed = { u: { url }, fresh: { url: freshUrl, probe: { path: '/fresh', interval: '10ms' } } };
    const done = ambassador.reloadInTurns(configOf(documentOf('20%', ROUTES, { upstreams: probed })));
    await ambassador.stop();
    expect(await done).toBe(false);
    expect(ambassador.generation.number).toBe(1);
    const asked = fresh.asked.length;
    await new Promise((wait) => setTimeout(wait, 1000));
    // A hundred would have come; one may have been on its way.
    expect(fresh.asked.length).toBeLessThanOrEqual(asked + 1);
  });

  it('rejects what cannot be used, and then nothing has changed', async () => {
    const { ambassador, documentOf, url } = await start();
    const unusable = { u: { url }, v: { url: 'https://127.0.0.1:1', tls: { caFile: '/nowhere.pem' } } };
    const config = configOf(documentOf('20%', 0, { upstreams: unusable }));
    await expect(ambassador.reloadInTurns(config)).rejects.toThrow(UnusableUpstream);
    expect(ambassador.generation.number).toBe(1);
    expect(await ambassador.reloadInTurns(configOf(documentOf('20%')))).toBe(true);
    expect(ambassador.generation.number).toBe(2);
  });
});
