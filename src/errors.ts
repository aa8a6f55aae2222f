// The one table of failure codes. Everything that ends an exchange badly is one of these: the same code stands
// in the `x-splitter-error` response field, in the metrics' `code` label, in the log and in the docs. Codes are
// stable: operators write alerts against them. Knows nothing of sockets or of HTTP parsing.

/** Who has to act: the caller, the variant's upstream, or the operator of the splitter. */
export type Blame = 'downstream' | 'upstream' | 'splitter';

interface Fault {
  readonly blame: Blame;
  /** Status of the response when none has begun; 0 = nothing can be answered, the connection is cut. */
  readonly status: number;
  readonly sentence: string;
}

/** What exactly went wrong, beyond the code. Bounded, printable text. */
export interface Cause {
  /** Anybody may read it: it names no address, no host and no value. */
  readonly text: string;
  /** For the log alone; empty when there is nothing to add. */
  readonly detail: string;
}

/** A cause that anybody may read, but for its detail. */
export const causeOf = (text: string, detail = ''): Cause => ({ text, detail });

/** A limit that was exceeded, by its option. */
export const limitOf = (option: string, value: number, unit: 'ms' | 'bytes' | '' = ''): Cause =>
  causeOf(`${option} is ${value}${unit === '' ? '' : ` ${unit}`}`);

/** A cause as a log line says it. */
export const formatCause = ({ text, detail }: Cause): string => (detail === '' ? text : `${text}; ${detail}`);

const fault = (blame: Blame, status: number, sentence: string): Fault => ({ blame, status, sentence });

/** Every way an exchange can fail, by code. Sources: RFC 9110 §15, RFC 9112 §2-7, and what the splitter limits. */
export const FAULTS = {
  BAD_REQUEST_LINE: fault('downstream', 400, 'the request line is not "METHOD SP target SP HTTP/1.x" CRLF'),
  BAD_TARGET: fault('downstream', 400, 'the request target has a form or a byte that is not allowed'),
  BAD_FIELD: fault('downstream', 400, 'a header field has a bad name, a bad byte, a fold or a bad line end'),
  BAD_HOST: fault(
    'downstream',
    400,
    'the request has no Host field, more than one, or one that is not an authority',
  ),
  BAD_CONTENT_LENGTH: fault('downstream', 400, 'Content-Length is repeated, not plain digits, or too large'),
  LENGTH_AND_CHUNKED: fault('downstream', 400, 'the message has both Content-Length and Transfer-Encoding'),
  CHUNKED_IN_HTTP_1_0: fault('downstream', 400, 'Transfer-Encoding has no meaning in HTTP/1.0'),
  BAD_CHUNK: fault('downstream', 400, 'the chunked body is malformed'),
  TLS_EXPECTED: fault('downstream', 400, 'a plain HTTP request was sent to a TLS port'),
  CLIENT_CERTIFICATE_MISSING: fault('downstream', 400, 'the listening address requires a client certificate'),
  CLIENT_CERTIFICATE_INVALID: fault('downstream', 400, 'the certificate of the client cannot be verified'),
  BAD_UPGRADE: fault('downstream', 400, 'an upgrade request has a body'),
  KEY_MISSING: fault('downstream', 400, 'the request has no key and the split rejects such requests'),
  NO_ROUTE: fault('downstream', 404, 'no route matches this host and path'),
  CONNECT_REFUSED: fault('downstream', 405, 'CONNECT is not served: this is not a forward proxy'),
  TRACE_REFUSED: fault('downstream', 405, 'TRACE is not served: trace is refuse'),
  BAD_PROXY_HEADER: fault(
    'downstream',
    0,
    'the connection does not begin with a PROXY header of a trusted proxy, as its address in listen demands',
  ),
  HEAD_TIMEOUT: fault('downstream', 408, 'the request head did not arrive in time'),
  BODY_TIMEOUT: fault('downstream', 408, 'the request body made no progress in time'),
  BODY_TOO_LARGE: fault('downstream', 413, 'the request body is larger than limits.requestBody'),
  TARGET_TOO_LONG: fault('downstream', 414, 'the request line is longer than limits.requestLine'),
  HEAD_TOO_LARGE: fault(
    'downstream',
    431,
    'the header fields exceed limits.requestHead or limits.requestFields',
  ),
  UNKNOWN_TRANSFER_ENCODING: fault('downstream', 501, 'Transfer-Encoding is not "chunked"'),
  VERSION_UNSUPPORTED: fault('downstream', 505, 'only HTTP/1.0 and HTTP/1.1 are served'),
  DOWNSTREAM_GONE: fault('downstream', 0, 'the client left before the exchange ended'),
  CLIENT_TOO_SLOW: fault(
    'downstream',
    408,
    'the client made no progress while other exchanges waited for its upstream connection',
  ),
  WRITE_TIMEOUT: fault('downstream', 0, 'the client did not read the response in time'),

  UPSTREAM_UNRESOLVED: fault('upstream', 502, "the upstream's name has no address"),
  UPSTREAM_CONNECT_FAILED: fault('upstream', 502, 'no address of the upstream accepts a connection'),
  UPSTREAM_TLS_FAILED: fault('upstream', 502, "the upstream's TLS handshake or certificate failed"),
  UPSTREAM_RESET: fault('upstream', 502, 'the upstream closed or reset the connection before it responded'),
  UPSTREAM_BAD_RESPONSE: fault('upstream', 502, 'the upstream sent something that is not valid HTTP/1.x'),
  UPSTREAM_HEAD_TOO_LARGE: fault(
    'upstream',
    502,
    "the upstream's response head exceeds its limits.responseHead or limits.responseFields",
  ),
  UPSTREAM_DOWN: fault('upstream', 503, 'according to the probes, no address of the upstream is up'),
  UPSTREAM_CONNECT_TIMEOUT: fault('upstream', 504, 'the upstream did not accept a connection in time'),
  UPSTREAM_RESPONSE_TIMEOUT: fault('upstream', 504, 'the upstream was silent for too long'),
  UPSTREAM_BODY_CUT: fault('upstream', 0, 'the upstream cut off its response'),
  UPSTREAM_BODY_TIMEOUT: fault('upstream', 0, 'the upstream stopped in the middle of its response'),

  CONNECTIONS_EXHAUSTED: fault('splitter', 503, 'the limit of downstream connections is reached'),
  RESOURCES_EXHAUSTED: fault(
    'splitter',
    503,
    'the process has no file descriptor or port left for a connection',
  ),
  QUEUE_FULL: fault('splitter', 503, 'too many exchanges already wait for a connection to this upstream'),
  QUEUE_TIMEOUT: fault('splitter', 503, 'no connection to the upstream became free in time'),
  TUNNELS_EXHAUSTED: fault('splitter', 503, 'the upstream already has pool.maxTunnels tunnels'),
  DRAIN_DEADLINE: fault('splitter', 503, 'the splitter is shutting down and the drain deadline has passed'),
  TUNNEL_IDLE: fault('splitter', 0, 'no data passed through the tunnel for timeouts.tunnelIdle'),
  NO_VARIANT: fault('splitter', 500, "no variant of the split has the value of the split's choose"),
  BODY_ALREADY_READ: fault(
    'splitter',
    500,
    'another handler of the server has read the request body: mount this handler before body parsers',
  ),
  INTERNAL: fault('splitter', 500, 'an error in the splitter itself; please report it'),
} as const satisfies Record<string, Fault>;

/** One of the stable failure codes. */
export type FaultCode = keyof typeof FAULTS;

/** All codes in table order; a code's position is its slot in the counters. */
export const FAULT_CODES = Object.keys(FAULTS) as FaultCode[];
