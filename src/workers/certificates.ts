// Reads the certificates of a configuration before workers have to: one that no worker can use must not reach
// them, and is refused as a single process would refuse it.

import { UnusableUpstream } from '../ambassador.ts';
import type { Config } from '../config/options/document.ts';
import { membersOf } from '../config/options/upstream.ts';
import { TlsSettings } from '../upstream/tls.ts';

/** Throws UnusableUpstream where a worker would: a configuration that no worker can use must not reach them. */
export function checkCertificates({ upstreams }: Config): void {
  for (const [name, upstream] of upstreams) {
    for (const { url, down } of membersOf(upstream)) {
      if (!url.tls || down) continue;
      try {
        new TlsSettings(upstream.tls, url, 0);
      } catch (cause) {
        throw new UnusableUpstream(name, cause as Error);
      }
    }
  }
}
