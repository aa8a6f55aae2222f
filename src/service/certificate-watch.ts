// Follows the files of the certificates of listening addresses as those of the configuration are followed, has them read
// again when one changes, and logs what came of it. Which pair is good is decided in downstream/certificates.

import type { Logger } from 'pino';
import type { Config } from '../config/options/document.ts';
import type { Renewal } from '../downstream/certificates.ts';
import { ConfigWatch } from './watch.ts';

/** Time for the other file of a pair to follow, where both are not swapped at once. */
const PAIR_SETTLE_MS = 200;

/** What takes renewed certificates. */
export interface CertificateHolder {
  renewCertificates(): Promise<readonly Renewal[]>;
}

/** Watches the certificates of one service, which owns it; `close` ends it. */
export class CertificateWatch {
  readonly #holder: CertificateHolder;
  readonly #log: Logger;
  readonly #files: readonly string[];
  readonly #pollMs: number;
  #watches: readonly ConfigWatch[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isRenewing = false;
  #isWanted = false;

  constructor(holder: CertificateHolder, { listen }: Config, log: Logger, pollMs = 5000) {
    this.#holder = holder;
    this.#log = log;
    this.#pollMs = pollMs;
    const files = listen.flatMap(({ tls }) =>
      tls === undefined
        ? []
        : [
            ...tls.certificates.flatMap(({ certificate, key }) => [certificate, key]),
            tls.clientCa ?? [],
          ].flat(),
    );
    this.#files = [...new Set(files)];
  }

  /** Begins; what has changed since the start is taken at once. */
  async start(): Promise<void> {
    const renew = (): void => this.request();
    this.#watches = this.#files.map(
      (file) => new ConfigWatch(file, { pollMs: this.#pollMs, onChange: renew, onUnreadable: renew }),
    );
    await Promise.all(this.#watches.map((watch) => watch.start()));
    if (this.#files.length > 0) this.request();
  }

  /** Has the files read again soon, once for all requests that come until then. */
  request(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#renew();
    }, PAIR_SETTLE_MS);
    this.#timer.unref();
  }

  /** Nothing is read or logged afterwards. */
  close(): void {
    clearTimeout(this.#timer);
    for (const watch of this.#watches) watch.close();
  }

  async #renew(): Promise<void> {
    this.#isWanted = true;
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    while (this.#isWanted) {
      this.#isWanted = false;
      for (const { certificate, problem, names, notAfter } of await this.#holder.renewCertificates()) {
        if (problem === null) this.#log.info({ certificate, names, notAfter }, 'certificate renewed');
        else this.#log.error({ certificate, problem }, 'certificate refused, the old one stays in use');
      }
    }
    this.#isRenewing = false;
  }
}
