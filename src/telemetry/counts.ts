// Declares everything that is counted on the way of a request: per (split, variant, upstream), per upstream, and for the
// side of the clients. The order of a declaration is the order of its families in /metrics. counters.ts adds to them.

import { FAULT_CODES, FAULTS } from '../errors.ts';
import { REASONS } from '../split/splitter.ts';
import { BUCKETS_MAX, durationBoundsSeconds } from './duration-buckets.ts';
import { type Dimension, declareRow } from './rows.ts';

/** Classes by which responses are counted: slot = first digit of the status; "none" = no response was sent. */
export const STATUS_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** The classes of exchanges that failed, wherever the product says "failed" or "errors". The page has the same list. */
export const FAILED_CLASSES: readonly (typeof STATUS_CLASSES)[number][] = ['none', '5xx'];

const US_PER_SECOND = 1e6;

const BY_CLASS: Dimension = {
  names: STATUS_CLASSES,
  labels: ['code'],
  labelsOf: (cell) => ({ code: STATUS_CLASSES[cell]! }),
  isSparse: false,
};

const BY_FAULT: Dimension = {
  names: FAULT_CODES,
  labels: ['code'],
  labelsOf: (cell) => ({ code: FAULT_CODES[cell]! }),
  isSparse: true,
};

/** Why a TLS handshake with a client did not end well. */
export const HANDSHAKE_FAILURES = [
  'alpn',
  'certificate_rejected',
  'closed',
  'limit',
  'not_tls',
  'other',
  'protocol',
  'timeout',
] as const;

export type HandshakeFailure = (typeof HANDSHAKE_FAILURES)[number];

const BY_HANDSHAKE_FAILURE: Dimension = {
  names: HANDSHAKE_FAILURES,
  labels: ['reason'],
  labelsOf: (cell) => ({ reason: HANDSHAKE_FAILURES[cell]! }),
  isSparse: true,
};

const BY_FAULT_AND_BLAME: Dimension = {
  ...BY_FAULT,
  labels: ['code', 'blame'],
  labelsOf: (cell) => ({ code: FAULT_CODES[cell]!, blame: FAULTS[FAULT_CODES[cell]!].blame }),
};

const BY_REASON: Dimension = {
  names: REASONS,
  labels: ['reason'],
  labelsOf: (cell) => ({ reason: REASONS[cell]! }),
  isSparse: true,
};

/** Everything that is counted for one (split, variant, upstream). */
export const VARIANT_ROW = declareRow(
  {
    requests: {
      kind: 'counter',
      metric: 'splitter_requests_total',
      help: 'Exchanges that have ended, by class of the status that was sent: 1xx to 5xx, or none if the client got no response.',
      by: BY_CLASS,
      status: 'requestsByClass',
    },
    faults: {
      kind: 'counter',
      metric: 'splitter_request_faults_total',
      help: 'Exchanges that ended with a fault of the splitter, the upstream or the client, by its code. A code appears with its first fault.',
      by: BY_FAULT_AND_BLAME,
      status: 'requestsByFault',
    },
    durations: {
      kind: 'histogram',
      metric: 'splitter_request_duration_seconds',
      help: 'Time from the first byte of the request head to the last byte of the response.',
      cells: BUCKETS_MAX,
      bounds: durationBoundsSeconds,
      sum: 'durationSumUs',
      sumPerUnit: US_PER_SECOND,
    },
    durationSumUs: {
      kind: 'counter',
      metric: null,
      help: 'Sum of all durations in whole microseconds.',
      status: 'durationSumSeconds',
      perUnit: US_PER_SECOND,
    },
    inFlight: {
      kind: 'gauge',
      metric: 'splitter_requests_in_flight',
      help: 'Exchanges that have begun and not ended.',
      status: 'requestsInFlight',
    },
    bytesReceived: {
      kind: 'counter',
      metric: 'splitter_received_bytes_total',
      help: 'Bytes of requests, heads and bodies as on the wire.',
      status: 'receivedBytes',
    },
    bytesSent: {
      kind: 'counter',
      metric: 'splitter_sent_bytes_total',
      help: 'Bytes of responses, heads and bodies as on the wire.',
      status: 'sentBytes',
    },
    retries: {
      kind: 'counter',
      metric: 'splitter_retries_total',
      help: 'Exchanges that were sent again on another connection of the same upstream.',
      status: 'retries',
    },
    decisions: {
      kind: 'counter',
      metric: 'splitter_decisions_total',
      help: 'Requests that were given to this variant, by reason: share, missing_key, override, not_enrolled, not_targeted. Only those by share are part of the sample. A reason appears with its first request.',
      by: BY_REASON,
      status: 'decisionsByReason',
    },
    missingKeys: {
      kind: 'counter',
      metric: 'splitter_missing_keys_total',
      help: "Requests without a key that the split's missingKey gave to this variant.",
      status: 'missingKeys',
    },
    overrides: {
      kind: 'counter',
      metric: 'splitter_overrides_total',
      help: 'Requests for which a tester chose this variant; they are not part of the sample.',
      status: 'overrides',
    },
    overridesRefused: {
      kind: 'counter',
      metric: 'splitter_overrides_refused_total',
      help: 'Requests that asked for a variant without permission (an unknown name, a wrong secret) and went to this one by their key.',
      status: 'overridesRefused',
    },
    keysMinted: {
      kind: 'counter',
      metric: 'splitter_keys_minted_total',
      help: 'Requests without a key that got a minted one, which belongs to this variant.',
      status: 'keysMinted',
    },
    preflights: {
      kind: 'counter',
      metric: 'splitter_preflights_total',
      help: 'CORS preflight requests (OPTIONS) that went to this variant; they are not part of the sample.',
      status: 'preflights',
    },
    keysRemembered: {
      kind: 'counter',
      metric: 'splitter_keys_remembered_total',
      help: 'Responses that set a cookie with the key of their request, because `remember` is on and the client did not send the cookie.',
      status: 'keysRemembered',
    },
    fallbacks: {
      kind: 'counter',
      metric: 'splitter_fallbacks_total',
      help: 'Exchanges of this variant that the upstream of onDown served, because its own was down.',
      status: 'fallbacks',
    },
  },
  [
    'requests',
    'faults',
    'inFlight',
    'retries',
    'fallbacks',
    'decisions',
    'missingKeys',
    'keysMinted',
    'preflights',
    'keysRemembered',
    'overrides',
    'overridesRefused',
    'bytesReceived',
    'bytesSent',
    'durationSumUs',
  ],
);

/** Everything that is counted for one upstream, whichever variants use it. */
export const UPSTREAM_ROW = declareRow(
  {
    connectionsOpen: {
      kind: 'gauge',
      metric: 'splitter_upstream_connections',
      help: 'Connections to the upstream that are open, used or idle.',
      status: 'connectionsOpen',
    },
    connectionsOpened: {
      kind: 'counter',
      metric: 'splitter_upstream_connections_opened_total',
      help: 'Connections to the upstream that have been opened.',
      status: 'connectionsOpened',
    },
    connectFailures: {
      kind: 'counter',
      metric: 'splitter_upstream_connect_failures_total',
      help: 'Connects to the upstream that failed, by code. A code appears with its first failure.',
      by: BY_FAULT,
      status: 'connectFailures',
    },
    exchangesWaiting: {
      kind: 'gauge',
      metric: 'splitter_upstream_exchanges_waiting',
      help: 'Exchanges that wait for a connection to the upstream.',
      status: 'exchangesWaiting',
    },
    connectionsHeld: {
      kind: 'gauge',
      metric: 'splitter_upstream_connections_held',
      help: 'Connections that wait for slow clients while other exchanges wait for a connection; limited by pool.maxHeld.',
      status: 'connectionsHeld',
    },
    exhaustions: {
      kind: 'counter',
      metric: 'splitter_upstream_pool_exhaustions_total',
      help: 'Times that exchanges waited a second or longer for a connection.',
      status: 'poolExhaustions',
    },
    streamsOpen: {
      kind: 'gauge',
      metric: 'splitter_upstream_streams',
      help: 'Tunnels and event streams to the upstream that are open; limited by pool.maxTunnels.',
      status: 'streamsOpen',
    },
    ejections: {
      kind: 'counter',
      metric: 'splitter_upstream_ejections_total',
      help: 'Times that an address of the upstream was left out because it failed.',
      status: 'ejections',
    },
  },
  [
    'connectionsOpen',
    'connectionsOpened',
    'connectFailures',
    'exchangesWaiting',
    'streamsOpen',
    'connectionsHeld',
    'exhaustions',
    'ejections',
  ],
);

/** Everything that is counted for the side of the clients. */
export const DOWNSTREAM_ROW = declareRow(
  {
    connectionsOpen: {
      kind: 'gauge',
      metric: 'splitter_downstream_connections',
      help: 'Connections of clients that are open.',
      status: 'connectionsOpen',
    },
    connectionsAccepted: {
      kind: 'counter',
      metric: 'splitter_downstream_connections_accepted_total',
      help: 'Connections of clients that have been accepted.',
      status: 'connectionsAccepted',
    },
    refusals: {
      kind: 'counter',
      metric: 'splitter_refusals_total',
      help: 'Requests and connections that were refused, or whose client left, before a variant was chosen, by code. A code appears with its first refusal.',
      by: BY_FAULT_AND_BLAME,
      status: 'refusals',
    },
    handshakesOpen: {
      kind: 'gauge',
      metric: 'splitter_tls_handshakes_in_flight',
      help: 'TLS handshakes with clients that are under way; limited by limits.tlsHandshakes.',
      status: 'tlsHandshakesInFlight',
    },
    handshakes: {
      kind: 'counter',
      metric: 'splitter_tls_handshakes_total',
      help: 'TLS handshakes with clients that have ended well, resumed ones included.',
      status: 'tlsHandshakes',
    },
    handshakesResumed: {
      kind: 'counter',
      metric: 'splitter_tls_handshakes_resumed_total',
      help: 'TLS handshakes with clients that resumed an earlier session.',
      status: 'tlsHandshakesResumed',
    },
    handshakeFailures: {
      kind: 'counter',
      metric: 'splitter_tls_handshake_failures_total',
      help: 'TLS handshakes with clients that failed, by reason: alpn (no http/1.1), certificate_rejected by the client, closed by the client, limit (limits.tlsHandshakes), not_tls (plain text), protocol (no common version or cipher), timeout (timeouts.tlsHandshake), other. A reason appears with its first failure.',
      by: BY_HANDSHAKE_FAILURE,
      status: 'tlsHandshakeFailures',
    },
    tunnelsOpen: {
      kind: 'gauge',
      metric: 'splitter_tunnels',
      help: 'Tunnels, such as WebSocket connections, that are open.',
      status: 'tunnelsOpen',
    },
    tunnelsOpened: {
      kind: 'counter',
      metric: 'splitter_tunnels_opened_total',
      help: 'Tunnels that have been opened.',
      status: 'tunnelsOpened',
    },
    responseBytesBuffered: {
      kind: 'gauge',
      metric: 'splitter_response_buffer_bytes',
      help: 'Bytes of responses that were read from upstreams and wait for clients that do not read; limited by limits.responseBuffers.',
      status: 'responseBytesBuffered',
    },
  },
  [
    'connectionsOpen',
    'connectionsAccepted',
    'refusals',
    'handshakesOpen',
    'handshakes',
    'handshakesResumed',
    'handshakeFailures',
    'tunnelsOpen',
    'tunnelsOpened',
    'responseBytesBuffered',
  ],
);
