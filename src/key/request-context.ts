// What variables keep of one request: its random id and the values of own variables, each made once. Views make one when a
// variable first asks for it, so that requests whose texts need none have none.

import { randomBytes } from 'node:crypto';
import type { RequestContext, RequestView, ResponseFacts, Surroundings } from '../bytes.ts';

/** Around a request of which nothing more is known than its bytes: one of a log, of a test, of the library. */
export const NO_SURROUNDINGS: Surroundings = {
  tls: null,
  remotePort: 0,
  peerAddress: '',
  peerPort: 0,
  proxyHeader: null,
  localAddress: '',
  localPort: 0,
  connectionNumber: 0,
  requestCount: 0,
  hostname: '',
  pid: 0,
  timeMs: () => 0,
  elapsedMs: () => 0,
};

/** The context of one request. Its view owns it and drops it with the request. */
export class KeptValues implements RequestContext {
  readonly values: (Uint8Array | null | undefined)[] = [];
  readonly madeOf: number[] = [];
  readonly beganAtMs: number;
  readonly surroundings: Surroundings;
  response: ResponseFacts | null = null;
  readonly #whole: RequestContext | null;
  #requestId = '';

  /** `whole` is the context of the same request as it came, whose id this one shares; null for a request that is itself whole. */
  constructor(surroundings: Surroundings, beganAtMs: number, whole: RequestContext | null = null) {
    this.surroundings = surroundings;
    this.beganAtMs = beganAtMs;
    this.#whole = whole;
  }

  requestId(): string {
    if (this.#whole !== null) return this.#whole.requestId();
    if (this.#requestId === '') this.#requestId = randomBytes(16).toString('hex');
    return this.#requestId;
  }
}

/** The context of a view; a new one, which nothing keeps, where it has none. */
export function requestContextOf(view: RequestView): RequestContext {
  return view.context?.() ?? new KeptValues(NO_SURROUNDINGS, 0);
}
