// Reads a whole regular file of limited size, and nothing else: a FIFO or a device would hold up its reader for ever, or
// until memory is full. Links are followed, as a mounted ConfigMap or Secret is made of them. Throws an Error whose message says
// what was found in place of such a file.

import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Largest file of certificates or keys: a bundle of every public authority has a quarter of it. */
export const PEM_BYTES_MAX = 1024 * 1024;
/** Largest file that is taken for a secret. */
export const SECRET_BYTES_MAX = 4096;

// Without O_NONBLOCK the open of a FIFO waits for its writer; without O_NOCTTY that of a terminal may take it over.
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/** Content of the file; for the start and for threads that may wait for a disk. */
export function readRegularFileSync(file: string, bytesMax: number): Buffer {
  const fd = withFileError(() => openSync(file, FLAGS));
  try {
    const bytes = Buffer.allocUnsafe(sizeOf(fstatSync(fd), bytesMax) + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count) {
      count = readSync(fd, bytes, length, bytes.length - length, null);
    }
    return whole(bytes, length);
  } finally {
    closeSync(fd);
  }
}

/** The same without holding up the event loop. */
export async function readRegularFile(file: string, bytesMax: number): Promise<Buffer> {
  await using handle = await openWithoutWaiting(file);
  const bytes = Buffer.allocUnsafe(sizeOf(await handle.stat(), bytesMax) + 1);
  let length = 0;
  for (let count = -1; count !== 0 && length < bytes.length; length += count) {
    ({ bytesRead: count } = await handle.read(bytes, length, bytes.length - length, null));
  }
  return whole(bytes, length);
}

/** Opens whatever it is for reading; a FIFO that no one writes to is opened as well. */
export async function openWithoutWaiting(file: string): Promise<FileHandle> {
  return open(file, FLAGS).catch((cause: NodeJS.ErrnoException) => {
    throw spoken(cause);
  });
}

/** What a file is that is none. */
export function kindOf(stats: Stats): string {
  return stats.isDirectory() ? 'a directory' : 'no regular file';
}

function sizeOf(stats: Stats, bytesMax: number): number {
  if (!stats.isFile()) throw new Error(kindOf(stats));
  if (stats.size > bytesMax) throw new Error(tooLongText(stats.size, bytesMax));
  return stats.size;
}

/** What is said of a file that is too large. */
export function tooLongText(bytes: number, bytesMax: number): string {
  return `${bytes} bytes, where ${bytesMax} are the limit`;
}

/** A file that grows while it is read is being written: what is read of it would be a part. */
function whole(bytes: Buffer, length: number): Buffer {
  if (length === bytes.length) throw new Error('a file that is being written');
  return bytes.subarray(0, length);
}

function withFileError<T>(action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw spoken(cause as NodeJS.ErrnoException);
  }
}

/** A Unix socket cannot be opened at all. */
function spoken(cause: NodeJS.ErrnoException): Error {
  return cause.code === 'ENXIO' ? new Error('no regular file', { cause }) : cause;
}
