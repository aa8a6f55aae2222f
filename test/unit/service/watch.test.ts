// A configuration file that changes as the kubelet, editors and people change it, in a real directory.
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { formatProblem } from '../../../src/config/problem.ts';
import { ConfigWatch, isMountedAlone } from '../../../src/service/watch.ts';

let folder: string;
let running: ConfigWatch[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'watch-'));
});
afterEach(async () => {
  for (const watch of running) watch.close();
  running = [];
  vi.useRealTimers();
  await rm(folder, { recursive: true, force: true });
});

/** A started watch, and its reports one after the other. */
async function watching(file: string, options: { pollMs?: number; text?: string } = {}) {
  const told: string[] = [];
  let waiting: (() => void) | null = null;
  const tell = (report: string) => {
    told.push(report);
    waiting?.();
  };
  const watch = new ConfigWatch(file, {
    settleMs: 5,
    // Out of reach: what is told was told by an event, unless the test moves the clock.
    pollMs: 3_600_000,
    ...options,
    onChange: tell,
    onUnreadable: (problem) => tell(formatProblem(problem).replaceAll(`${folder}/`, '')),
  });
  running.push(watch);
  await watch.start();
  const next = async (): Promise<string> => {
    while (told.length === 0) {
      await new Promise<void>((resolve) => {
        waiting = resolve;
      });
    }
    return told.shift()!;
  };
  return { watch, told, next };
}

/** One update of a ConfigMap volume, step by step as kubelet's AtomicWriter does it. */
async function kubeletWrites(version: string, text: string, old?: string): Promise<void> {
  await mkdir(join(folder, `..${version}`));
  await writeFile(join(folder, `..${version}`, 'splitter.yaml'), text);
  await symlink(`..${version}`, join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  if (old === undefined) await symlink('..data/splitter.yaml', join(folder, 'splitter.yaml'));
  else await rm(join(folder, `..${old}`), { recursive: true });
}

describe('a change is told with the new text', () => {
  it('when the kubelet swaps the ..data link of a ConfigMap, again and again', async () => {
    await kubeletWrites('2026_01', 'one');
    const { next, told } = await watching(join(folder, 'splitter.yaml'));
    await kubeletWrites('2026_02', 'two', '2026_01');
    expect(await next()).toBe('two');
    await kubeletWrites('2026_03', 'three', '2026_02');
    expect(await next()).toBe('three');
    expect(told).toEqual([]);
  });

  // Whoever writes in place empties the file first; a watch that began in between had no text to compare with.
  it.each([
    ['empty', async (file: string) => writeFile(file, '')],
    ['missing', async () => undefined],
  ])('when the file was %s at the first look', async (_what, prepare) => {
    const file = join(folder, 'splitter.yaml');
    await prepare(file);
    const { next } = await watching(file);
    await writeFile(file, 'one');
    expect(await next()).toBe('one');
  });

  it('when the file is written in place', async () => {
    const file = join(folder, 'splitter.yaml');
    await writeFile(file, 'one');
    const { next } = await watching(file);
    await writeFile(file, 'two');
    expect(await next()).toBe('two');
  });

  it('when an editor writes another file and renames it over this one', async () => {
    const file = join(folder, 'splitter.yaml');
    await writeFile(file, 'one');
    const { next } = await watching(file);
    for (const text of ['two', 'three']) {
      await writeFile(join(folder, '.splitter.yaml.swp'), text);
      await rename(join(folder, '.splitter.yaml.swp'), file);
      expect(await next()).toBe(text);
    }
  });

  it('when an editor moves the old file away and writes a new one', async () => {
    const file = join(folder, 'splitter.yaml');
    await writeFile(file, 'one');
    const { next } = await watching(file);
    await rename(file, `${file}~`);
    await writeFile(file, 'two');
    expect(await next()).toBe('two');
  });

  it('when it came between the reading of the configuration and the start of the watch', async () => {
    const file = join(folder, 'splitter.yaml');
    await writeFile(file, 'two');
    const { next } = await watching(file, { text: 'one' });
    expect(await next()).toBe('two');
  });

  it('by the poll where the directory has no event to tell: the file is a link to elsewhere', async () => {
    await mkdir(join(folder, 'etc'));
    await mkdir(join(folder, 'elsewhere'));
    await writeFile(join(folder, 'elsewhere/real.yaml'), 'one');
    await symlink('../elsewhere/real.yaml', join(folder, 'etc/splitter.yaml'));
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { next } = await watching(join(folder, 'etc/splitter.yaml'), { pollMs: 5000 });
    await writeFile(join(folder, 'elsewhere/real.yaml'), 'two');
    vi.advanceTimersByTime(5000);
    expect(await next()).toBe('two');
  });

  it('when the whole directory was taken away and made again, first by the poll and from then on by events', async () => {
    const etc = join(folder, 'etc');
    await mkdir(etc);
    await writeFile(join(etc, 'splitter.yaml'), 'one');
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { next } = await watching(join(etc, 'splitter.yaml'), { pollMs: 5000 });
    await rename(etc, join(folder, 'old'));
    await mkdir(etc);
    await writeFile(join(etc, 'splitter.yaml'), 'two');
    vi.advanceTimersByTime(5000);
    expect(await next()).toBe('two');
    await writeFile(join(etc, 'splitter.yaml'), 'three');
    expect(await next()).toBe('three');
  });
});

describe('nothing is told', () => {
  it('when the file is written with the text that it has, and of other files beside it', async () => {
    const file = join(folder, 'splitter.yaml');
    await writeFile(file, 'one');
    const { next, told } = await watching(file);
    await writeFile(join(folder, 'other.yaml'), 'x');
    await writeFile(file, 'one');
    await writeFile(file, 'two');
    expect(await next()).toBe('two');
    expect(told).toEqual([]);
  });

  it('of the gap in which an editor has taken the file away', async () => {
    const file = join(folder, 'splitter.yaml');
    await writeFile(file, 'one');
    const { next, told } = await watching(file);
    await unlink(file);
    await writeFile(file, 'two');
    expect(await next()).toBe('two');
    expect(told).toEqual([]);
  });
});

it('a file that stays away is told once by the poll, and its return as a change', async () => {
  const file = join(folder, 'splitter.yaml');
  await writeFile(file, 'one');
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const { next, told } = await watching(file, { pollMs: 5000 });
  await unlink(file);
  vi.advanceTimersByTime(5000);
  expect(await next()).toBe('splitter.yaml: expected a file that can be read, got no such file');
  vi.advanceTimersByTime(10_000);
  await writeFile(file, 'two');
  expect(await next()).toBe('two');
  expect(told).toEqual([]);
});

describe('a file that is mounted alone (subPath) is recognised', () => {
  const mounts = async (lines: string[]) => {
    await writeFile(join(folder, 'mountinfo'), `${lines.join('\n')}\n`);
    return join(folder, 'mountinfo');
  };
  const ROOT = '2318 2083 0:332 / / rw,relatime - overlay overlay rw';

  it('by its own line in mountinfo, also with a space in its name', async () => {
    const line = (path: string) =>
      `2331 2318 259:2 /pods/1/volume-subpaths/c/splitter/0 ${path} ro - ext4 /dev/nvme0n1p2 rw`;
    expect(await isMountedAlone(join(folder, 'a.yaml'), await mounts([ROOT, line(`${folder}/a.yaml`)]))).toBe(
      true,
    );
    expect(
      await isMountedAlone(join(folder, 'a b.yaml'), await mounts([ROOT, line(`${folder}/a\\040b.yaml`)])),
    ).toBe(true);
  });

  it('and one in a mounted directory is not', async () => {
    const mountinfo = await mounts([
      ROOT,
      `2331 2318 259:2 /pods/1/volumes/config ${folder} ro - ext4 /dev/nvme0n1p2 rw`,
    ]);
    expect(await isMountedAlone(join(folder, 'a.yaml'), mountinfo)).toBe(false);
  });

  it('and nothing is where the system has no mountinfo, nor here', async () => {
    expect(await isMountedAlone(join(folder, 'a.yaml'), join(folder, 'none'))).toBe(false);
    expect(await isMountedAlone(join(folder, 'a.yaml'))).toBe(false);
  });
});
