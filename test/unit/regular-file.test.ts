// Files that are no files: each is answered with what it is, none holds up its reader.
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readText } from '../../src/config/load.ts';
import { readRegularFile, readRegularFileSync } from '../../src/regular-file.ts';
import { TlsSettings } from '../../src/upstream/tls.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'files-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const inFolder = (name: string) => join(folder, name);
const makeFifo = (name: string) => {
  execFileSync('sh', ['-c', 'mkfifo "$0"', inFolder(name)]);
  return inFolder(name);
};

const READERS = [
  ['at once', async (file: string, max: number) => readRegularFileSync(file, max)],
  ['in turns', readRegularFile],
] as const;

describe.each(READERS)('a regular file (%s)', (_way, read) => {
  it('is read whole, also through links and up to its very limit', async () => {
    await writeFile(inFolder('a'), 'x'.repeat(100));
    await symlink('a', inFolder('b'));
    await symlink('b', inFolder('c'));
    expect((await read(inFolder('c'), 100)).toString()).toBe('x'.repeat(100));
    await writeFile(inFolder('empty'), '');
    expect((await read(inFolder('empty'), 100)).length).toBe(0);
  });

  it('that is too large, missing or none is refused with a sentence', async () => {
    await writeFile(inFolder('large'), 'x'.repeat(101));
    const server = createServer().listen(inFolder('socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    const cases: [string, string | RegExp][] = [
      [inFolder('large'), '101 bytes'],
      [folder, 'a directory'],
      [makeFifo('fifo'), 'no regular file'],
      [inFolder('socket'), 'no regular file'],
      ['/dev/zero', 'no regular file'],
      [inFolder('none'), /^ENOENT/],
    ];
    for (const [file, message] of cases) {
      await expect(read(file, 100), file).rejects.toThrow(message);
    }
    server.close();
  });
});

describe('a configuration', () => {
  const got = async (file: string) => {
    const read = await readText(file);
    return typeof read === 'string' ? read : read.problem.got;
  };

  it('in a device or a directory is a problem', async () => {
    expect(await got('/dev/zero')).toBe('no regular file');
    expect(await got(folder)).toBe('a directory');
  });

  it('in a FIFO that no one writes to is empty, and is not waited for', async () => {
    expect(await got(makeFifo('fifo'))).toBe('');
  });

  it('in a pipe is read whole, however slowly it comes', () => {
    const script = `import { readText } from ${JSON.stringify(join(import.meta.dirname, '../../src/config/load.ts'))};
      process.stdout.write(await readText("/proc/self/fd/0"));`;
    const program = `(echo one; sleep 0.2; echo two) | "${process.execPath}" --input-type=module -e '${script}'`;
    expect(execFileSync('sh', ['-c', program]).toString()).toBe('one\ntwo\n');
  });
});

describe('the files of TLS', () => {
  it('are read again off the event loop, and what is no PEM file leaves the old ones in use', async () => {
    const url = { tls: true, host: 'b', port: 443, path: null, authority: 'b' };
    const file = inFolder('ca.pem');
    await writeFile(file, rootCertificates[0]!);
    const settings = new TlsSettings({ caFile: file }, url as never, 0);
    const first = settings.optionsFor('127.0.0.1', 0).secureContext;
    const later = async (now: number) => {
      settings.optionsFor('127.0.0.1', now);
      await readRegularFile(inFolder('other'), 10);
      return settings.optionsFor('127.0.0.1', now).secureContext;
    };
    await writeFile(inFolder('other'), '');
    await rm(file);
    makeFifo('ca.pem');
    expect(await later(60_000)).toBe(first);
  });

  it('that are no regular files stop the start with a sentence', () => {
    const url = { tls: true, host: 'b', port: 443, path: null, authority: 'b' };
    for (const file of [makeFifo('fifo'), '/dev/zero']) {
      expect(() => new TlsSettings({ caFile: file }, url as never, 0)).toThrow('no regular file');
    }
  });
});
