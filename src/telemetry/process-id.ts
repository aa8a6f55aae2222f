// Names this process, so that what it has counted can be told from what another one has: a pod that is started again has the
// same name and begins at zero.

import { randomUUID } from 'node:crypto';

let id: string | null = null;

/** A UUID that is made by the first call and lasts as long as the process. */
export function processId(): string {
  id ??= randomUUID();
  return id;
}
