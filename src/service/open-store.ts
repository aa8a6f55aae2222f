// Which store a configuration names. The store itself is loaded only here, as few configurations have one and a client of a
// server is large.

import type { Config } from '../config/options/document.ts';
import type { SampleStore } from './sample-store.ts';

/** The store of the configuration; null where it is off. */
export async function openStore({
  store,
  name,
  passwordFile,
}: Config['sample']): Promise<SampleStore | null> {
  if (store === 'off') return null;
  if (store.startsWith('/')) {
    const { FolderStore } = await import('./folder-store.ts');
    return new FolderStore(store, name);
  }
  const { RedisStore } = await import('./redis-store.ts');
  return new RedisStore(store, name, passwordFile ?? null);
}
