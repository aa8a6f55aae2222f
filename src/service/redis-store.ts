// Samples on a Redis or Valkey server, which the pods of an app share: a hash with a field for each process. A connection is
// opened for each session, so that a server that is gone costs nothing between two of them.

import { readFile } from 'node:fs/promises';
import { createClient, RESP_TYPES } from '@redis/client';
import { CLAIM_MS, type SampleStore, type StoreEntries } from './sample-store.ts';

const CONNECT_MS = 2000;
/** A hash that nobody has written to for so long goes. */
const KEEP_SECONDS = 30 * 24 * 3600;

function connectTo(url: string, password: string | undefined) {
  return createClient({
    url,
    ...(password === undefined ? {} : { password }),
    socket: { connectTimeout: CONNECT_MS, reconnectStrategy: false },
  }).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
}

/** A server. It holds no connection open. */
export class RedisStore implements SampleStore {
  readonly #url: string;
  readonly #hash: string;
  readonly #passwordFile: string | null;

  /** @param name of the app: part of the name of its hash */
  constructor(url: string, name: string, passwordFile: string | null) {
    this.#url = url;
    this.#hash = `request-splitter:samples:${name}`;
    this.#passwordFile = passwordFile;
  }

  async use<T>(work: (session: StoreEntries) => Promise<T>): Promise<T> {
    const file = this.#passwordFile;
    const password = file === null ? undefined : (await readFile(file, 'utf8')).trim();
    if (password === '') throw new Error(`expected a password in ${file}, got an empty file`);
    const client = connectTo(this.#url, password);
    // What fails is said by the command that waits for it.
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await work(new RedisEntries(client, this.#hash));
    } finally {
      client.destroy();
    }
  }
}

/** An open connection. */
class RedisEntries implements StoreEntries {
  readonly #client: ReturnType<typeof connectTo>;
  readonly #hash: string;

  constructor(client: ReturnType<typeof connectTo>, hash: string) {
    this.#client = client;
    this.#hash = hash;
  }

  async list(): Promise<string[]> {
    return (await this.#client.hKeys(this.#hash)).map((field) => field.toString());
  }

  async read(id: string): Promise<Buffer | null> {
    const bytes = await this.#client.hGet(this.#hash, id);
    return bytes === null || bytes === undefined ? null : Buffer.from(bytes);
  }

  async write(id: string, bytes: Buffer): Promise<void> {
    await this.#client.hSet(this.#hash, id, bytes);
    await this.#client.expire(this.#hash, KEEP_SECONDS);
  }

  async claim(id: string): Promise<boolean> {
    const claimed = await this.#client.set(`${this.#hash}:claim:${id}`, '1', {
      condition: 'NX',
      expiration: { type: 'PX', value: CLAIM_MS },
    });
    return claimed !== null;
  }

  async remove(id: string): Promise<void> {
    await this.#client.hDel(this.#hash, id);
    await this.#client.del(`${this.#hash}:claim:${id}`);
  }
}
