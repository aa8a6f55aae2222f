// A whole configuration as a user writes it, every option declared once with type, default, limits and the sentence
// that documents it. The option table, the JSON Schema for editors, `check` and the flags all come from here.
// It knows nothing of files, of line numbers (config/parse) or of how an option is obeyed.

import * as z from 'zod/mini';
import { ADMIN_DEFAULT, LISTEN_DEFAULT } from '../listen-address.ts';
import { LISTEN_EXPECTED, listenAddress } from './addresses.ts';
import { listenOptions } from './listen.ts';
import { metricsSchema } from './metrics.ts';
import { BODY_LIMIT, type RouteConfig, routeSchema } from './route.ts';
import { sampleSchema } from './sample.ts';
import { parseShare } from './share.ts';
import { layerSchema, type SplitConfig, splitSchema } from './split.ts';
import { trustedProxies } from './trusted-proxies.ts';
import { type UpstreamConfig, upstreamSchema, upstreamSettings } from './upstream.ts';
import {
  choice,
  documented,
  duration,
  entryName,
  filledList,
  flag,
  HEAD_BYTES,
  HEAD_FIELDS,
  integer,
  mapOption,
  matching,
  numberWithin,
  ownField,
  size,
  textRead,
} from './values.ts';
import { variableSchema } from './variable.ts';

const timeouts = {
  requestHead: duration({
    min: '10ms',
    max: '10m',
    default: '10s',
    doc: 'Longest time for a complete request head.',
  }),
  requestBody: duration({
    min: '10ms',
    max: '1h',
    default: '60s',
    doc: 'Longest pause in a request body; see also `limits.minimumRate`.',
  }),
  tlsHandshake: duration({
    min: '10ms',
    max: '10m',
    default: '10s',
    doc: 'Longest time from the accept of a connection to the end of its TLS handshake.',
  }),
  write: duration({
    min: '10ms',
    max: '1h',
    default: '60s',
    doc: 'Longest time in which a client reads nothing; see also `limits.minimumRate`.',
  }),
  idle: duration({
    min: '10ms',
    max: '24h',
    default: '75s',
    doc: 'Longest pause between two requests on a connection.',
  }),
  tunnelIdle: duration({
    min: '10ms',
    max: '168h',
    default: '1h',
    doc: 'Longest silence in both directions of a tunnel. After one side has sent FIN, `timeouts.idle` limits the silence of the other.',
  }),
};

const limits = {
  requestBody: size({ ...BODY_LIMIT, default: '1024GiB' }),
  requestLine: size({
    ...HEAD_BYTES,
    default: '8KiB',
    doc: 'Longest request line, including its line end; a longer one is answered with 414.',
  }),
  requestHead: size({
    ...HEAD_BYTES,
    doc: 'Maximum size of all header fields of a request together, including line ends, without the request line; more is answered with 431.',
  }),
  requestFields: integer({
    ...HEAD_FIELDS,
    doc: 'Maximum number of header fields of a request; more are answered with 431.',
  }),
  connections: integer({
    min: 1,
    max: 1_000_000,
    default: 10_000,
    doc: 'Maximum number of downstream connections; one more is answered with 503 and closed.',
  }),
  tlsHandshakes: integer({
    min: 1,
    max: 1_000_000,
    default: 1024,
    doc: 'Maximum number of TLS handshakes that are under way. One more takes the place of a client that has sent nothing for a second, or is closed.',
  }),
  minimumRate: size({
    min: '0B',
    max: '1GiB',
    default: '240B',
    doc: 'Minimum bytes a second that a client must send of a request body, or read of a response, while the splitter waits only for the client. A slower client gradually uses up `timeouts.requestBody` or `timeouts.write`. 0B: any byte is progress.',
  }),
  responseBuffer: size({
    min: '0B',
    max: '1GiB',
    default: '256KiB',
    doc: 'Maximum bytes of a response that are read from the upstream while its client does not read. If no more than this is left of a response, its upstream connection is freed, however slow the client is.',
  }),
  responseBuffers: size({
    min: '0B',
    max: '64GiB',
    default: '16MiB',
    doc: 'The same for all clients together.',
  }),
};

const drain = {
  grace: duration({
    min: '0ms',
    max: '10m',
    default: '2s',
    doc: 'For this time after SIGTERM or SIGQUIT, new requests are still accepted.',
  }),
  deadline: duration({
    min: '0ms',
    max: '1h',
    default: '25s',
    doc: 'Exchanges that still run after this time are cut; keep it below terminationGracePeriodSeconds.',
  }),
};

/** Which exchanges get a line of the log. */
export const ACCESS_LOG_MODES = ['off', 'errors', 'all', 'sampled'] as const;

/** Levels of lines of the log, from the mildest. */
const LOG_LEVELS = ['info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const log = {
  level: choice(LOG_LEVELS, {
    default: 'info',
    doc: 'Mildest lines that the splitter logs about itself: `warn` leaves out those of the level info, `error` also warnings. Lines of exchanges and assignment events are not affected.',
  }),
};

const PERCENTAGE_EXPECTED = 'a percentage from 0% to 100% with two decimals at most';

const accessLog = {
  mode: choice(ACCESS_LOG_MODES, {
    default: 'off',
    doc: 'Exchanges that get a log line: `errors` = those with a fault or a 5xx, `sampled` = these and a share of the others.',
  }),
  sample: documented(
    z.prefault(
      textRead(PERCENTAGE_EXPECTED, (text) => parseShare(text) ?? undefined),
      '1%',
    ),
    'Share of the successful exchanges that `sampled` logs.',
    'share',
  ),
};

const assignments = z
  .strictObject({
    to: documented(
      z._default(
        matching(/^(?:off|stdout|\/.+)$/, 'off, stdout, or a path like /var/log/assignments.jsonl'),
        'off',
      ),
      'Destination of the events, one JSON line per key and window with split, variant and the keyed hash of the key: `off`, `stdout` or a file.',
      'off | stdout | path',
    ),
    window: duration({
      min: '1s',
      max: '168h',
      default: '1h',
      doc: 'A key gets one line in each window of this length.',
    }),
    secretFile: documented(
      z.optional(matching(/^\/./, 'a path like /etc/secrets/assignments')),
      'File with the secret of the keyed hash (HMAC-SHA-256); required unless `to` is off.',
      'path',
    ),
  })
  .check(
    z.refine(({ to, secretFile }) => to === 'off' || secretFile !== undefined, {
      path: ['secretFile'],
      error: 'the path of a file with the secret, because assignments.to is not off',
    }),
  );

const VARIANT_HEADER_TO_EXPECTED = 'a list of upstream, client or both';

const variantHeader = z.strictObject({
  name: ownField('Name of the header field; what a client sends under it is always removed.'),
  to: documented(
    z._default(
      filledList(
        z.enum(['upstream', 'client'], { error: VARIANT_HEADER_TO_EXPECTED }),
        VARIANT_HEADER_TO_EXPECTED,
      ),
      ['upstream'],
    ),
    'Who gets the field: `upstream`, `client` or both.',
    'list',
  ),
});

const WORKERS = { min: 1, max: 256 } as const;
const WORKERS_EXPECTED = `a whole number from ${WORKERS.min} to ${WORKERS.max}, or auto`;

const adminAddress = z.union(
  [
    z.pipe(
      z.literal('off'),
      z.transform(() => null),
    ),
    listenAddress,
  ],
  { error: `${LISTEN_EXPECTED}, or off` },
);

const upgrades = z
  .array(matching(/^[A-Za-z0-9.-]+$/, 'a protocol name like websocket'), {
    error: 'a list of protocol names like [websocket]',
  })
  .check(
    z.refine((names) => !names.some((name) => /^h2c?$/i.test(name)), { error: 'protocols other than h2c' }),
  );

const variableName = matching(
  /^[A-Za-z_][A-Za-z0-9_]{0,62}$/,
  'the name of a variable, of letters, digits and "_", 63 characters at most',
);

/** A configuration document as a user writes it. `config/parse` turns it into a Config. */
export const documentSchema = z.strictObject({
  listen: documented(
    z.prefault(listenOptions, LISTEN_DEFAULT),
    'Addresses on which requests are accepted, one or a list. `:8000` is every address, IPv4 and IPv6. A map gives an address TLS or the PROXY protocol.',
    { kind: 'address', single: true },
  ),
  admin: documented(
    z.prefault(adminAddress, ADMIN_DEFAULT),
    'Address of the admin port, or `off`.',
    'address',
  ),
  workers: documented(
    z._default(
      z.union([z.literal('auto'), numberWithin(WORKERS, WORKERS_EXPECTED)], { error: WORKERS_EXPECTED }),
      1,
    ),
    'Processes that serve requests: 1 is right for a sidecar, more for a separate Deployment; `auto` = one per core. Limits hold for all together.',
    { kind: 'integer | auto', range: `${WORKERS.min} to ${WORKERS.max}` },
  ),
  upstreams: documented(
    z._default(z.record(entryName, upstreamSchema, { error: 'a map of name to upstream' }), {}),
    'Upstreams by name.',
    'map',
  ),
  upstreamDefaults: mapOption(
    upstreamSettings,
    'Settings for every upstream, including those written inline as a URL.',
  ),
  splits: documented(
    z._default(z.record(entryName, splitSchema, { error: 'a map of name to split' }), {}),
    'Splits by name.',
    'map',
  ),
  jwt: documented(
    z.optional(
      z.strictObject({
        cookie: documented(
          matching(/^[A-Za-z0-9_.~-]{1,64}$/, 'a cookie name of letters, digits, "_", "-", "." and "~"'),
          'Cookie with the token of a request that has no bearer token.',
        ),
      }),
    ),
    'Where the JSON Web Token is that $jwt_sub and $jwt_claim_NAME read. It is not verified: a split is no access control. Unset: the bearer token of Authorization alone.',
    'map',
  ),
  variables: documented(
    z._default(z.record(variableName, variableSchema, { error: 'a map of name to variable' }), {}),
    'Variables of your own, which every text can read as `$NAME`: the value is looked up by a text. The result of each split is such a variable, too.',
    'map',
  ),
  layers: documented(
    z.optional(z.record(entryName, layerSchema, { error: 'a map of name to layer' })),
    'Layers by name: each gives its keys to its splits by their slots, so that no two of them share one. Layers do not depend on each other.',
    'map',
  ),
  routes: documented(
    z._default(z.array(routeSchema, { error: 'a list of routes' }), []),
    'Which split or upstream serves which host and path. Without routes a single split serves everything.',
    'list',
  ),
  timeouts: mapOption(timeouts, 'Time limits towards clients.'),
  limits: mapOption(limits, 'Limits towards clients.'),
  halfClose: choice(['close', 'answer'], {
    default: 'close',
    doc: 'What it means if a client sends FIN before it has its complete response: `close` = it has left and its exchange ends; `answer` = it has sent everything and still reads. Tunnels pass the FIN on.',
  }),
  drain: mapOption(drain, 'How the splitter shuts down.'),
  forwarded: choice(['append', 'replace', 'keep', 'remove'], {
    default: 'append',
    doc: "What happens to X-Forwarded-For, -Proto and -Host on the way to the upstream. `replace` and `remove` also drop the client's Forwarded and every other X-Forwarded field, in any spelling that an application could read as one (`X_Forwarded_For`), in trailers too.",
  }),
  trustedProxies: documented(
    z.optional(trustedProxies),
    'Proxies before the splitter that name the client of a request: `$remote_addr`, the log and X-Forwarded-For then have its address. Unset: the client is whoever has opened the connection.',
    'map',
  ),
  variantHeader: documented(
    z.optional(variantHeader),
    'A header field that names the variant. Unset: none.',
    'map',
  ),
  vary: flag({
    default: false,
    doc: 'Adds Vary with the fields that the key and the override of the split read, so that no cache before the client mixes variants.',
  }),
  requestId: flag({
    default: false,
    doc: 'Adds an x-request-id (a UUID) to a request without one; an existing one is kept. The log shows either.',
  }),
  traceparent: choice(['off', 'sampled', 'unsampled'], {
    default: 'off',
    doc: 'Adds a traceparent (W3C Trace Context) to a request without one, with or without the sampled flag; an existing one is kept.',
  }),
  errorPages: choice(['text', 'html'], {
    default: 'text',
    doc: "Bodies of the splitter's own answers: `text` names the failure code and the reason, `html` are nginx's pages. The field x-splitter-error is there in both cases.",
  }),
  trace: choice(['pass', 'refuse'], {
    default: 'pass',
    doc: 'What happens to TRACE requests: `pass` = they go to an upstream like any other, `refuse` = 405.',
  }),
  badPaths: choice(['pass', 'refuse'], {
    default: 'pass',
    doc: 'What happens to targets above the root (`/../x`, `/%2e%2e/x`) or with an escape that is none (`/%zz`, `/%00`) where no route has a path: `pass` = they go to the upstream as they are, `refuse` = 400. With a route that has a path they are refused in either case.',
  }),
  via: flag({
    default: false,
    doc: 'Adds Via as RFC 9110 §7.6.3 says. Off: nginx upstreams turn gzip off when they see it.',
  }),
  upgrades: documented(
    z._default(upgrades, ['websocket']),
    'Protocols to which a connection may be upgraded; never h2c.',
    'list',
  ),
  log: mapOption(log, 'Log lines of the splitter about itself.'),
  accessLog: mapOption(accessLog, 'Log lines for exchanges.'),
  sample: documented(z.prefault(sampleSchema, {}), 'Where samples outlive their process.', 'map'),
  metrics: metricsSchema,
  assignments: documented(z.prefault(assignments, {}), 'Events that say which key got which variant.', 'map'),
});

/** The document with every default filled in, before names are linked. */
export type ConfigDocument = z.output<typeof documentSchema>;

/**
 * A whole, valid configuration: what the rest of the program runs on. Every variant and route names an entry of
 * `upstreams`; an inline URL has become an entry named by that URL; `routes` has at least one entry.
 */
export interface Config extends Omit<ConfigDocument, 'upstreams' | 'splits' | 'routes' | 'upstreamDefaults'> {
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>;
  readonly splits: ReadonlyMap<string, SplitConfig>;
  readonly routes: readonly RouteConfig[];
  /** First 12 hex digits of the SHA-256 of the effective configuration. */
  readonly hash: string;
}
