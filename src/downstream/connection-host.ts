// What a client connection may ask of the listener that took it: so that neither of the two classes depends on the other
// one's whole. Types only.

import type { Generation } from '../routing/generation.ts';
import type { DownstreamCounters } from '../telemetry/counters.ts';
import type { ClientExchange, ClientListener } from '../transport/contracts.ts';

/** The host of connections of the class `Connection`. */
export interface ConnectionHost<Connection> extends ClientListener<Generation> {
  readonly counters: DownstreamCounters;
  readonly isDraining: boolean;
  /** No new connection is taken, and one that becomes idle closes. */
  readonly isClosing: boolean;
  takeExchange(client: Connection): ClientExchange<Generation>;
  /** The exchange is idle and belongs to no client any more. */
  giveBack(exchange: ClientExchange<Generation>): void;
  /** Once, last: the connection has closed. */
  closed(connection: Connection): void;
}
