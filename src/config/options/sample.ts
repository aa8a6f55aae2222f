// The options of the sample: where the keys and numbers of splits outlive the process that counted them. It knows nothing of
// how a store is written.

import * as z from 'zod/mini';
import { documented, duration, entryName, matching } from './values.ts';

const STORE_EXPECTED =
  'off, the path of a folder like /var/lib/request-splitter, or a URL like redis://valkey:6379/0';

/** "redis://user:password@host" -> "redis://(removed)@host"; anything else as it is. */
export function withoutCredentials(store: string): string {
  return store.replace(/^(rediss?:\/\/)[^@/]*@/, '$1(removed)@');
}

/** The options under `sample`. */
export const sampleSchema = z
  .strictObject({
    store: documented(
      z._default(
        matching(/^(?:off|\/[^\0]*[^/\0]|rediss?:\/\/[^\s/]+(?:\/\d{1,3})?)$/, STORE_EXPECTED),
        'off',
      ),
      'Where samples (unique keys, numbers and alarms of each split) are kept beyond the end of the process: `off`, a folder on a volume, or a Redis or Valkey server, which the pods of an app share. They are written at intervals and at the end of a drain, and read at the start.',
      'off | path | redis URL',
    ),
    name: documented(z._default(entryName, 'default'), 'Name of the app in a store that several apps share.'),
    interval: duration({
      min: '1s',
      max: '1h',
      default: '30s',
      doc: 'Time between two writes; a process that is killed loses what came after the last one.',
    }),
    passwordFile: documented(
      z.optional(matching(/^\/./, 'a path like /etc/secrets/redis-password')),
      'File with the password of the Redis or Valkey server.',
      'path',
    ),
  })
  .check(
    z.refine(({ store, passwordFile }) => passwordFile === undefined || /^rediss?:/.test(store), {
      path: ['passwordFile'],
      error: 'no password, because sample.store is no URL of a server',
    }),
  );
