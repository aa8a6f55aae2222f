// When a configuration is read again and from which texts. Files are real; what happens to them between two looks happens
// in the place of the clock.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Loaded, loadConfig } from '../../../src/config/load.ts';
import { type ReloadHost, Reloads } from '../../../src/service/reload.ts';
import { ReloadReader } from '../../../src/service/reload-reader.ts';
import { fakeConfig } from '../../support/fake-running.ts';

let folder: string;
const running: Reloads[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reload-'));
});
afterEach(async () => {
  for (const reloads of running.splice(0)) reloads.close();
  await rm(folder, { recursive: true, force: true });
});

const path = (name: string) => join(folder, name);

/** Reads nothing: a text with "bad" in it has a problem. */
class Host implements ReloadHost {
  /** Texts that were read, each as those of all files in a row. */
  readonly reads: string[] = [];
  /** What was heard, in order. */
  readonly log: string[] = [];
  async read(texts: ReadonlyMap<string, string>): Promise<Loaded> {
    this.reads.push([...texts.values()].join(' '));
    return loadedOf(texts);
  }
  async take({ problems, texts }: Loaded): Promise<boolean> {
    this.log.push(`${problems === undefined ? 'took' : 'refused'} ${[...texts.values()].join(' ')}`);
    return problems === undefined;
  }
  unchanged(): void {
    this.log.push('unchanged');
  }
  unreadable(): void {
    this.log.push('unreadable');
  }
}

function loadedOf(texts: ReadonlyMap<string, string>): Loaded {
  const isBad = [...texts.values()].join().includes('bad');
  const [file = ''] = texts.keys();
  const outcome = isBad
    ? { problems: [{ at: '', path: '', order: 0, expected: '', got: '' }] }
    : { config: fakeConfig(), findings: [] };
  return { ...outcome, file, files: [...texts.keys()], texts, notes: [] };
}

/** Reloads of these files as they are now; `between` runs in the place of each wait. */
async function start(
  files: Record<string, string>,
  between: ((ms: number) => unknown)[] = [],
  pollMs?: number,
) {
  for (const [name, text] of Object.entries(files)) await writeFile(path(name), text);
  const host = new Host();
  const texts = new Map(Object.entries(files).map(([name, text]) => [path(name), text]));
  const waits: number[] = [];
  const wait = async (ms: number) => {
    waits.push(ms);
    await between.shift()?.(ms);
  };
  const reloads = new Reloads(host, loadedOf(texts), wait, pollMs);
  running.push(reloads);
  const heard = (count = 1) => vi.waitUntil(() => host.log.length >= count, { timeout: 20_000, interval: 2 });
  return { host, reloads, heard, waits };
}

describe('a configuration is read again', () => {
  it('from the text that two looks agree on, while a rewrite in place is waited out', async () => {
    const { host, reloads, heard } = await start({ 'a.yaml': 'one' }, [
      () => writeFile(path('a.yaml'), 'tw'),
      () => undefined,
      () => writeFile(path('a.yaml'), 'two'),
    ]);
    await writeFile(path('a.yaml'), '');
    reloads.request();
    await heard();
    // "tw" was there for two looks: what it became is read as well, by the watch or by the next request.
    expect(host.reads[0]).toBe('tw');
    expect(host.reads).not.toContain('');
  });

  it.each([
    ['whose last line has no end', 'one\n', 'tw', 'two\n'],
    ['that is less than half as long', 'one: { and: more }\n', 'two:\n', 'two: { and: more }\n'],
  ])('a little later from a text %s', async (_, one, part, two) => {
    const nothing = () => undefined;
    const { host, reloads, heard } = await start({ 'a.yaml': one }, [
      () => writeFile(path('a.yaml'), part),
      ...Array.from({ length: 4 }, () => nothing),
      () => writeFile(path('a.yaml'), two),
    ]);
    await writeFile(path('a.yaml'), '');
    reloads.request();
    await heard();
    expect(host.reads).toEqual([two]);
  });

  it('from a text without an end of its last line, when it stays', async () => {
    const { host, reloads, heard } = await start({ 'a.yaml': 'one\n' });
    await writeFile(path('a.yaml'), 'two');
    reloads.request();
    await heard();
    expect(host.reads).toEqual(['two']);
  });

  it('never from an empty file that is about to be written', async () => {
    const nothing = () => undefined;
    const { host, reloads, heard } = await start({ 'a.yaml': 'one' }, [
      nothing,
      nothing,
      nothing,
      () => writeFile(path('a.yaml'), 'two'),
    ]);
    await writeFile(path('a.yaml'), '');
    reloads.request();
    await heard();
    expect([host.reads, host.log]).toEqual([['two'], ['took two']]);
  });

  it('but an empty file that stays so is reported', async () => {
    const { host, reloads, heard } = await start({ 'a.yaml': 'one' });
    await writeFile(path('a.yaml'), '');
    reloads.request();
    await heard();
    expect(host.reads).toEqual(['']);
  });

  it('and what has problems is not reported when it was the first part of another text', async () => {
    const { host, reloads, heard } = await start({ 'a.yaml': 'one' }, [
      () => undefined,
      () => writeFile(path('a.yaml'), 'good'),
    ]);
    await writeFile(path('a.yaml'), 'bad');
    reloads.request();
    await heard();
    expect(host.log).toEqual(['took good']);
  });

  it('and what keeps its problems is reported, also at the next request', async () => {
    const { host, reloads, heard } = await start({ 'a.yaml': 'one' });
    await writeFile(path('a.yaml'), 'bad');
    reloads.request();
    await heard();
    reloads.request();
    await heard(2);
    expect(host.log).toEqual(['refused bad', 'refused bad']);
  });

  it('once for all requests that come meanwhile, and not at all when nothing has changed', async () => {
    const { host, reloads, heard, waits } = await start({ 'a.yaml': 'one' });
    for (let i = 0; i < 1000; i++) reloads.request();
    await heard(2);
    reloads.request();
    await heard(3);
    expect(host.reads).toEqual([]);
    expect(new Set(host.log)).toEqual(new Set(['unchanged']));
    expect(host.log.length).toBe(3);
    expect(waits).toContain(1000);
  });

  it('with all of its files as they were at one time', async () => {
    const { host, reloads, heard } = await start({ 'a.yaml': 'a1', 'b.conf': 'b1' }, [
      () => writeFile(path('b.conf'), 'b2'),
    ]);
    await writeFile(path('a.yaml'), 'a2');
    reloads.request();
    await heard();
    expect(host.reads).toEqual(['a2 b2']);
  });

  it('and an include that is no longer part of it may be removed without a complaint', async () => {
    const { host, reloads, heard } = await start({ 'a.conf': 'a1', 'b.conf': 'b1' }, [], 20);
    await reloads.watch();
    host.read = async (texts) => loadedOf(new Map([...texts].slice(0, 1)));
    await writeFile(path('a.conf'), 'a2');
    await heard();
    await rm(path('b.conf'));
    // By the time that the removal of a.conf was told twice, that of b.conf was seen.
    await rm(path('a.conf'));
    await heard(2);
    await writeFile(path('a.conf'), 'a3');
    await heard(3);
    await rm(path('a.conf'));
    await heard(4);
    expect(host.log).toEqual(['took a2', 'unreadable', 'took a3', 'unreadable']);
  });

  it('when a file changed between the start and the first look of its watch', async () => {
    const { host, reloads, heard } = await start({ 'a.yaml': 'one' });
    await writeFile(path('a.yaml'), 'two');
    await reloads.watch();
    await heard();
    expect(host.log).toEqual(['took two']);
  });
});

describe('a configuration is read off the event loop', () => {
  const program = new URL('../../../src/load-thread.ts', import.meta.url).href;
  const text = `splits:
  s:
    override: { header: x-v, variants: [a], secret: 0123456789abcdef }
    variants: [{ name: a, share: 50%, upstream: "http://u" }, { name: b, share: "*", upstream: "http://u" }]
routes:
${Array.from({ length: 2000 }, (_, i) => `  - { host: h${i}.example, path: /p${i}, split: s }\n`).join('')}`;
  const requestFor = (config: string) => ({
    flags: { config },
    environment: {},
    texts: new Map([[config, text]]),
  });

  it('from the texts that it is given, and becomes the same as on it', async () => {
    const request = requestFor('/nowhere/splitter.yaml');
    const loaded = await new ReloadReader(program, 100_000).read(request, null);
    expect(loaded.problems).toBeUndefined();
    expect(loaded).toEqual(await loadConfig(request, { texts: request.texts }));
  });

  it('up to a time limit, after which it is refused', async () => {
    const loaded = await new ReloadReader(program, 1).read(requestFor('/s.yaml'), '/s.yaml');
    expect(loaded.problems).toMatchObject([
      { at: '/s.yaml', expected: 'a configuration that is read within 0.001 s' },
    ]);
  });

  it('or on it where no thread can be started', async () => {
    const request = requestFor('/s.yaml');
    const loaded = await new ReloadReader('file:///nowhere/load-thread.js').read(request, null);
    expect(loaded.config?.routes.length).toBe(2000);
  });
});
