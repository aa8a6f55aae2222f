// The options of an upstream: where it is, its connections, time limits, retries, ejection, probes, TLS and fallback.
// `upstreamDefaults` takes the same ones for all upstreams.

import * as z from 'zod/mini';
import { upstreamName, upstreamUrl } from './addresses.ts';
import { balance } from './balance.ts';
import {
  documented,
  duration,
  filledList,
  flag,
  HEAD_BYTES,
  HEAD_FIELDS,
  integer,
  integerWithoutDefault,
  mapOption,
  matching,
  size,
} from './values.ts';

const poolOptions = {
  maxConnections: integer({
    min: 1,
    max: 65_536,
    default: 256,
    doc: 'Maximum number of open connections to this upstream. Tunnels and event streams do not count.',
  }),
  maxTunnels: integer({
    min: 0,
    max: 1_000_000,
    default: 4096,
    doc: 'Maximum number of tunnels (WebSocket) and event streams (`text/event-stream`) to this upstream. One more tunnel is answered with 503 TUNNELS_EXHAUSTED; one more event stream counts in `maxConnections`.',
  }),
  maxHeld: integer({
    min: 0,
    max: 65_536,
    default: 1024,
    doc: 'While exchanges wait for a connection, up to this many connections of slow clients (which do not send their upload or do not read their response) are open in addition to `maxConnections`. When these are used up too, clients that make no progress are cut off with CLIENT_TOO_SLOW. 0: slow clients count like all others and none is cut off.',
  }),
  maxQueued: integer({
    min: 0,
    max: 1_000_000,
    default: 1024,
    doc: 'Maximum number of requests that wait for a connection; one more gets 503 QUEUE_FULL.',
  }),
  queueTimeout: duration({
    min: '1ms',
    max: '10m',
    default: '5s',
    doc: 'Longest wait for a connection before the answer is 503 QUEUE_TIMEOUT.',
  }),
  idleTimeout: duration({
    min: '1ms',
    max: '1h',
    default: '4s',
    doc: 'An idle upstream connection is closed after this time, or earlier if the Keep-Alive field of a response says so. The default is below the 5 s after which many Node upstreams close.',
  }),
  maxAge: duration({
    min: '100ms',
    max: '24h',
    default: '5m',
    doc: 'A connection older than this is not reused (10 % jitter), so that a ClusterIP does not pin it to one pod.',
  }),
  maxExchanges: integer({
    min: 1,
    max: 1_000_000_000,
    default: 100_000,
    doc: 'A connection that has carried this many exchanges is not reused (10 % jitter).',
  }),
  pipelining: integer({
    min: 1,
    max: 64,
    default: 1,
    doc: 'Maximum number of requests without a body that share a connection, sent together and answered in order. Read docs/operations.md before you raise it.',
  }),
};

const pemFile = (doc: string) =>
  documented(z.optional(matching(/^\//, 'the absolute path of a PEM file')), doc, 'path');

/** After what an exchange may be sent again, in nginx's words. */
export const RETRY_CONDITIONS = [
  'error',
  'timeout',
  'invalid_header',
  'http_403',
  'http_404',
  'http_429',
  'http_500',
  'http_502',
  'http_503',
  'http_504',
  'non_idempotent',
] as const;
const RETRY_EXPECTED = `a list of ${RETRY_CONDITIONS.join(', ')}`;

const tls = z.strictObject({
  caFile: pemFile(
    'Authorities that may sign the certificate of the upstream, instead of those that node carries.',
  ),
  certFile: pemFile('Client certificate for the upstream; needs `keyFile`.'),
  keyFile: pemFile('Key of `certFile`.'),
  serverName: documented(
    z.optional(matching(/^[A-Za-z0-9.-]+$/, 'a host name')),
    'Name that the certificate must have. Unset: the host of the URL.',
  ),
});

const eject = {
  failures: integerWithoutDefault({
    min: 0,
    max: 1000,
    doc: 'Failures in a row (connect, reset, silence, bad response) after which an address is left out; 0 = never. Unset: 1 while all other addresses are healthy, otherwise 3. The last healthy address is never left out.',
  }),
  time: duration({
    min: '10ms',
    max: '1h',
    default: '1s',
    doc: 'How long it is left out the first time; then one exchange tries it. Each further failure in a row doubles the time.',
  }),
  timeMax: duration({
    min: '10ms',
    max: '24h',
    default: '60s',
    doc: 'Longest time for which an address is left out.',
  }),
};

const probe = z.strictObject({
  path: documented(
    matching(/^\/[\x21-\x7e]*$/, 'a path like /healthz'),
    'Path that is requested; 200 to 399 is a good answer.',
  ),
  interval: duration({
    min: '10ms',
    max: '1h',
    default: '5s',
    doc: 'Time between two probes of an address (10 % jitter).',
  }),
  timeout: duration({ min: '1ms', max: '1m', default: '1s', doc: 'Longest wait for the answer to a probe.' }),
  failures: integer({
    min: 1,
    max: 1000,
    default: 3,
    doc: 'Bad answers in a row after which an address is down.',
  }),
  successes: integer({
    min: 1,
    max: 1000,
    default: 1,
    doc: 'Good answers in a row after which it is up again.',
  }),
});

/** Fields that say how the message is framed or what the connection does, and Host, which has an option of its own. */
const FRAMING_FIELD =
  /^(?:connection|content-length|expect|host|keep-alive|max-forwards|proxy-connection|te|trailer|transfer-encoding|upgrade|via)$/i;

/** True for the name of a field that may be set to a value of the user's own. */
export function isSettableField(name: string): boolean {
  return /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/.test(name) && !FRAMING_FIELD.test(name);
}

const HOST_VALUE_EXPECTED =
  'a Host field value like "backend.example:8080", "$host", "$proxy_host" or another text with variables';
const SET_NAME_EXPECTED =
  'the name of a field that is not about the connection or the length of the message (Host is set by host)';
const SET_VALUE_EXPECTED =
  'a text like "$remote_addr" or "shop $host" without control characters, 4096 characters at most';

const setHeaders = z.record(
  z.string().check(z.refine(isSettableField, { error: SET_NAME_EXPECTED })),
  documented(
    z
      .string({ error: SET_VALUE_EXPECTED })
      .check(
        z.maxLength(4096, { error: SET_VALUE_EXPECTED }),
        z.regex(/^[^\0-\x08\x0a-\x1f\x7f]*$/, { error: SET_VALUE_EXPECTED }),
      ),
    'Value of the field; an empty one takes it out.',
    'key text',
  ),
  { error: 'a map of field name to value' },
);

const onDown = z.union(
  [
    z.pipe(
      z.literal('fail'),
      z.transform(() => null),
    ),
    z.pipe(
      z.strictObject({
        fallback: documented(
          z.clone(upstreamName),
          'Upstream that serves the exchange: the name of an entry in `upstreams`, or a URL.',
        ),
      }),
      z.transform((one) => one.fallback),
    ),
  ],
  { error: '`fail` or `{ fallback: UPSTREAM }`' },
);

/** Options of one upstream; `upstreamDefaults` takes the same ones for all. */
export const upstreamSettings = {
  host: documented(
    z.optional(matching(/^[A-Za-z0-9._:[\]${}~-]+$/, HOST_VALUE_EXPECTED)),
    "Host field sent to this upstream; `$proxy_host` sends that of the URL, `$host` that of the client in lower case without its port. Unset: the client's Host is kept.",
  ),
  setHeaders: documented(
    z.optional(setHeaders),
    'Fields of requests to this upstream that replace those of the client: variables as in a key, and `$scheme` and `$proxy_add_x_forwarded_for`. They take precedence over `forwarded`.',
    'map of field values',
  ),
  connectTimeout: duration({
    min: '1ms',
    max: '10m',
    default: '2s',
    doc: 'Longest wait for one connect to an address, before the next address is tried or the answer is 504.',
  }),
  responseTimeout: duration({
    min: '1ms',
    max: '24h',
    default: '60s',
    doc: 'Longest silence of the upstream before the exchange ends with 504.',
  }),
  limits: mapOption(
    {
      responseHead: size({
        ...HEAD_BYTES,
        doc: 'Maximum size of all header fields of a response together, including line ends; more is answered with 502.',
      }),
      responseFields: integer({
        ...HEAD_FIELDS,
        doc: 'Maximum number of header fields of a response; more are answered with 502.',
      }),
    },
    'Limits of responses.',
  ),
  pool: mapOption(poolOptions, 'Connections to the upstream.'),
  retry: mapOption(
    {
      attempts: integer({
        min: 0,
        max: 10,
        default: 1,
        doc: 'How often an exchange is sent again on another connection of the same upstream, if that is safe. 0 also makes a refused connect final: no second try after a pause.',
      }),
      on: documented(
        z._default(z.array(z.enum(RETRY_CONDITIONS, { error: RETRY_EXPECTED }), { error: RETRY_EXPECTED }), [
          'error',
        ]),
        'After what it is sent again, before a byte of the answer has reached the client: `error` = the connection closes or breaks; `timeout` (silence for responseTimeout), `invalid_header` and a status like `http_503` only if the upstream has another healthy server. `non_idempotent` = also POST, PATCH and unknown methods that were sent.',
        `list of ${RETRY_CONDITIONS.join(', ')}`,
      ),
      timeout: duration({
        min: '0ms',
        max: '1h',
        default: '0ms',
        doc: 'Longest time since the request began in which it is sent again; 0ms = no limit.',
      }),
    },
    'When an exchange is sent again.',
  ),
  tls: documented(
    z.optional(tls),
    'TLS towards an `https://` upstream. Certificates are always verified.',
    'map',
  ),
  balance,
  eject: mapOption(eject, 'When an address is left out for a time.'),
  probe: documented(z.optional(probe), 'Checks each address regularly. Unset: no probes.', 'map'),
  onDown: documented(
    z.prefault(onDown, 'fail'),
    'What happens if no connection can be made: `fail` keeps the sample clean; `{ fallback: UPSTREAM }` sends the exchange there, marked and counted.',
    'fail | { fallback: UPSTREAM }',
  ),
};

const server = z.strictObject({
  url: documented(z.clone(upstreamUrl), 'Address of the server, as in `url`.', 'URL'),
  weight: integer({
    min: 1,
    max: 1000,
    default: 1,
    doc: 'Relative part of the exchanges; each address that a name resolves to counts with this weight.',
  }),
  backup: flag({ default: false, doc: 'Gets exchanges only while no server without `backup` is healthy.' }),
  down: flag({ default: false, doc: 'Gets no exchanges: out of service.' }),
  eject: documented(
    z.optional(z.strictObject(eject)),
    "When an address of this server is left out, instead of the upstream's `eject`.",
    'map',
  ),
});

/** One upstream: its URL or servers, and its settings. */
export const upstreamSchema = z
  .strictObject({
    url: documented(
      z.optional(upstreamUrl),
      'Address of the upstream: `http://host[:port]`, `https://host[:port]` or `unix:/path`.',
      'URL',
    ),
    servers: documented(
      z.optional(filledList(server, 'a list of 1 to 1000 servers', 1000)),
      'Several servers that share the exchanges, instead of `url`.',
      'list',
    ),
    ...upstreamSettings,
    // For editors; checks/upstreams says it in words.
  })
  .register(z.globalRegistry, {
    oneOf: ['url', 'servers'].map((place) => ({
      type: 'object',
      properties: { [place]: {} },
      required: [place],
    })),
  });

/** Options of one upstream, defaults filled in. */
export type UpstreamConfig = z.output<typeof upstreamSchema>;
/** TLS options of one upstream. */
export type TlsConfig = NonNullable<UpstreamConfig['tls']>;
/** One server of an upstream, defaults filled in. */
export type MemberConfig = z.output<typeof server>;

/** The servers of an upstream, at least one: those of its list, or its URL as the only one. */
export function membersOf({ url, servers }: UpstreamConfig): readonly MemberConfig[] {
  if (servers !== undefined) return servers;
  if (url === undefined) throw new Error('broken invariant: an upstream without url and servers');
  return [{ url, weight: 1, backup: false, down: false }];
}
