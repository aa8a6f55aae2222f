// What an upstream connection may ask of the upstream that opened it, in the order of the calls: so that neither of the two
// classes depends on the other one's whole. Types only.

import type { UpstreamConfig } from '../config/options/upstream.ts';
import type { Cause, FaultCode } from '../errors.ts';
import type { HeadLimits } from '../http1/fields.ts';
import type { UpstreamExchange } from '../transport/contracts.ts';
import type { Deadlines } from '../transport/deadlines.ts';
import type { Address } from './address.ts';
import type { Servers } from './servers.ts';

/** The owner of connections of the class `Connection`. */
export interface UpstreamConnectionOwner<Connection> {
  readonly config: UpstreamConfig;
  readonly deadlines: Deadlines;
  readonly headLimits: HeadLimits;
  /** To be told of successes and failures of the address. */
  readonly servers: Servers;
  /** Once, when it is established. */
  connected(connection: Connection): void;
  /** In place of that; `closed` has been called. */
  connectFailed(
    connection: Connection,
    exchange: UpstreamExchange | null,
    code: FaultCode,
    now: number,
    cause: Cause | null,
  ): void;
  /** Once, last: it has closed. */
  closed(connection: Connection, wasConnecting: boolean): void;
  /** Its exchange has ended well. */
  release(connection: Connection, now: number): void;
  countAsStream(connection: Connection): boolean;
  /** An exchange has ended well on it, and another one's answer is read next. */
  answered(address: Address): void;
}
