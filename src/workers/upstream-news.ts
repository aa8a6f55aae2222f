// Logs what workers report of upstreams. Each worker watches the upstreams on its own, so that one change is reported
// once by each of them.

import type { Logger } from 'pino';
import type { UpstreamEvent } from '../upstream/report.ts';

/** Upstreams, addresses and names whose last event is kept. */
const REMEMBERED_EVENTS_MAX = 10_000;

/** Promises one line for each change, whichever workers report it. The crew owns the only one, for as long as it runs. */
export class UpstreamNews {
  readonly #log: Logger;
  /** The last report on each upstream, address and name. */
  readonly #last = new Map<string, UpstreamEvent['msg']>();

  constructor(log: Logger) {
    this.#log = log;
  }

  relay({ msg, ...more }: UpstreamEvent): void {
    // An upstream as a whole, one of its addresses, or one of its names.
    const [kind = ''] = msg.split(' ');
    const of = `${kind}\0${more.upstream}\0${kind === 'upstream' ? '' : (more.address ?? more.name ?? '')}`;
    if (this.#last.get(of) === msg) return;
    if (this.#last.size === REMEMBERED_EVENTS_MAX) this.#last.clear();
    this.#last.set(of, msg);
    this.#log.warn(more, msg);
  }
}
