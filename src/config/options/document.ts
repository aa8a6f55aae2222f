// A whole configuration as a user writes it, every option declared once with type, default, limits and the sentence
// that documents it. The option table, the JSON Schema for editors, `check` and the flags all come from here.
// It knows nothing of files, of line numbers (config/parse) or of how an option is obeyed.

import * as z from 'zod/mini';
import { ADMIN_DEFAULT, LISTEN_DEFAULT } from '../listen-address.ts';
import { LISTEN_EXPECTED, listenAddress } from './addresses.ts';
import { BODY_LIMIT, type RouteConfig, routeSchema } from './route.ts';
import { parseShare, type SplitConfig, splitSchema } from './split.ts';
import { type UpstreamConfig, upstreamSchema, upstreamSettings } from './upstream.ts';
import {
  choice,
  documented,
  duration,
  entryName,
  flag,
  HEAD_BYTES,
  HEAD_FIELDS,
  integer,
  listOf,
  mapOption,
  matching,
  ownField,
  size,
  textRead,
  wholeNumber,
} from './values.ts';

const timeouts = {
  requestHead: duration({
    min: '10ms',
    max: '10m',
    default: '10s',
    doc: 'Longest time for a whole request head.',
  }),
  requestBody: duration({
    min: '10ms',
    max: '1h',
    default: '60s',
    doc: 'Longest pause in a request body; see also `limits.minimumRate`.',
  }),
  write: duration({
    min: '10ms',
    max: '1h',
    default: '60s',
    doc: 'Longest time for which a client may read nothing; see also `limits.minimumRate`.',
  }),
  idle: duration({
    min: '10ms',
    max: '24h',
    default: '75s',
    doc: 'Longest pause between two requests of a connection.',
  }),
  tunnelIdle: duration({
    min: '10ms',
    max: '168h',
    default: '1h',
    doc: 'Longest silence in both directions of a tunnel. Once one side has ended the stream, `timeouts.idle` limits the silence of the other.',
  }),
};

const limits = {
  requestBody: size({ ...BODY_LIMIT, default: '1024GiB' }),
  requestLine: size({
    ...HEAD_BYTES,
    default: '8KiB',
    doc: 'Longest request line, its line end included; a longer one is answered with 414.',
  }),
  requestHead: size({
    ...HEAD_BYTES,
    doc: 'Most bytes of all header fields of a request together, line ends included, without the request line; more are answered with 431.',
  }),
  requestFields: integer({
    ...HEAD_FIELDS,
    doc: 'Most header fields of a request; more are answered with 431.',
  }),
  connections: integer({
    min: 1,
    max: 1_000_000,
    default: 10_000,
    doc: 'Most downstream connections at once; one more is answered with 503 and closed.',
  }),
  minimumRate: size({
    min: '0B',
    max: '1GiB',
    default: '240B',
    doc: 'Fewest bytes a second that a client must send of a request body, or take of a response, while only the client is waited for. A slower one uses up `timeouts.requestBody` or `timeouts.write` little by little. 0B: any byte is progress.',
  }),
  responseBuffer: size({
    min: '0B',
    max: '1GiB',
    default: '256KiB',
    doc: 'Most bytes of a response that are read from the upstream while its client does not read. A response of which no more is left than this frees its upstream connection, however slow the client is.',
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
    doc: 'After SIGTERM or SIGQUIT new requests are still taken for this time.',
  }),
  deadline: duration({
    min: '0ms',
    max: '1h',
    default: '25s',
    doc: 'What still runs after this time is cut; keep it below terminationGracePeriodSeconds.',
  }),
};

/** Which exchanges get a line of the log. */
export const ACCESS_LOG_MODES = ['off', 'errors', 'all', 'sampled'] as const;

const PERCENTAGE_EXPECTED = 'a percentage from 0% to 100% with two decimals at most';

const accessLog = {
  mode: choice(ACCESS_LOG_MODES, {
    default: 'off',
    doc: 'Exchanges that get a line of the log: `errors` = those with a fault or a 5xx, `sampled` = these and a share of the others.',
  }),
  sample: documented(
    z.prefault(
      textRead(PERCENTAGE_EXPECTED, (text) => parseShare(text) ?? undefined),
      '1%',
    ),
    'Share of the exchanges that went well which `sampled` logs.',
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
      'Where one JSON line per key and window goes, with split, variant and the keyed hash of the key: `off`, `stdout` or a file.',
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
      'File with the secret of the keyed hash (HMAC-SHA-256); needed unless `to` is off.',
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
      listOf(
        z.enum(['upstream', 'client'], { error: VARIANT_HEADER_TO_EXPECTED }),
        VARIANT_HEADER_TO_EXPECTED,
      ),
      ['upstream'],
    ),
    'Who is told the name of the variant: `upstream`, `client` or both.',
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

// A single address is a list of one, so that a problem names the entry that is wrong.
const listenAddresses = z.pipe(
  z.transform((value) => (Array.isArray(value) ? value : [value])),
  z.array(listenAddress).check(z.minLength(1, { error: LISTEN_EXPECTED })),
);

const upgrades = z
  .array(matching(/^[A-Za-z0-9.-]+$/, 'a protocol name like websocket'), {
    error: 'a list of protocol names like [websocket]',
  })
  .check(
    z.refine((names) => !names.some((name) => /^h2c?$/i.test(name)), { error: 'protocols other than h2c' }),
  );

/** A configuration document as a user writes it. `config/parse` turns it into a Config. */
export const documentSchema = z.strictObject({
  listen: documented(
    z.prefault(listenAddresses, LISTEN_DEFAULT),
    'Where requests are taken: `:8000` is every address, IPv4 and IPv6. One or a list.',
    { kind: 'address', single: true },
  ),
  admin: documented(
    z.prefault(adminAddress, ADMIN_DEFAULT),
    'Where the admin port listens, or `off`.',
    'address',
  ),
  workers: documented(
    z._default(
      z.union([z.literal('auto'), wholeNumber(WORKERS, WORKERS_EXPECTED)], { error: WORKERS_EXPECTED }),
      1,
    ),
    'Processes that take requests: 1 is right for a sidecar, more for a Deployment of its own; `auto` = one per core. Limits hold for all together.',
    { kind: 'integer | auto', range: `${WORKERS.min} to ${WORKERS.max}` },
  ),
  upstreams: documented(
    z._default(z.record(entryName, upstreamSchema, { error: 'a map of name to upstream' }), {}),
    'Upstreams by name.',
    'map',
  ),
  upstreamDefaults: mapOption(
    upstreamSettings,
    'Settings for every upstream, also for those written inline as a URL.',
  ),
  splits: documented(
    z._default(z.record(entryName, splitSchema, { error: 'a map of name to split' }), {}),
    'Splits by name.',
    'map',
  ),
  routes: documented(
    z._default(z.array(routeSchema, { error: 'a list of routes' }), []),
    'Which split or upstream takes which host and path. Without routes a single split takes everything.',
    'list',
  ),
  timeouts: mapOption(timeouts, 'Time limits towards clients.'),
  limits: mapOption(limits, 'Limits towards clients.'),
  halfClose: choice(['close', 'answer'], {
    default: 'close',
    doc: 'What a client means that ends its side of the connection (FIN) before it has its whole answer: `close` = it has gone, its exchange ends; `answer` = it has sent everything and still reads. Tunnels pass the FIN on.',
  }),
  drain: mapOption(drain, 'How the splitter goes away.'),
  forwarded: choice(['append', 'replace', 'keep', 'remove'], {
    default: 'append',
    doc: "What happens to X-Forwarded-For, -Proto and -Host on the way to the upstream. `replace` and `remove` also drop the client's Forwarded and every other X-Forwarded field, in any spelling that an application could take for one (`X_Forwarded_For`), in trailers too.",
  }),
  variantHeader: documented(
    z.optional(variantHeader),
    'A header field that names the variant. Unset: none.',
    'map',
  ),
  vary: flag({
    default: false,
    doc: 'Adds Vary with the fields that key and override of the split read, so that no cache on the way to the client mixes variants.',
  }),
  requestId: flag({
    default: false,
    doc: 'Gives a request without an x-request-id one (a UUID); one that is there passes on and stands in the log either way.',
  }),
  traceparent: choice(['off', 'sampled', 'unsampled'], {
    default: 'off',
    doc: 'Gives a request without a traceparent one (W3C Trace Context), with or without the flag that asks for its recording; one that is there passes on.',
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
  accessLog: mapOption(accessLog, 'A line of the log for exchanges.'),
  assignments: documented(
    z.prefault(assignments, {}),
    'Events that say which key was given to which variant.',
    'map',
  ),
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
