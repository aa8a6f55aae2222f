// What a configuration may say: every option declared once, with type, default, limits and the sentence that
// documents it. The option table, the JSON Schema for editors, `check` and the flags all come from here.
// It knows nothing of files, of line numbers (config/parse) or of how an option is obeyed.

// The mini form of zod: the same checks as functions. The full form makes some sixty methods for each of these schemas, at
// every start: 24 ms and 9 MiB against 5 ms and 2 MiB.
import * as z from 'zod/mini';
import { ADMIN_DEFAULT, LISTEN_DEFAULT, type ListenAddress, parseListen } from './listen-address.ts';

export type { ListenAddress };

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const DURATION_UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;
const SIZE = /^(\d+)(B|KiB|MiB|GiB)$/;
const SIZE_UNIT_BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** "250ms" "5s" "1m" "1h" -> milliseconds; undefined for anything else. */
function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  return Math.round(Number(match[1]) * DURATION_UNIT_MS[match[2] as keyof typeof DURATION_UNIT_MS]);
}

/** "8KiB" "1MiB" "512B" -> bytes; undefined for anything else. */
function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (match === null) return undefined;
  return Number(match[1]) * SIZE_UNIT_BYTES[match[2] as keyof typeof SIZE_UNIT_BYTES];
}

/** A text that `read` makes something of; where it gives undefined, `expected` is the message. */
function readText<T>(expected: string, read: (text: string) => T | undefined) {
  return z.pipe(
    z.string({ error: expected }),
    z.transform((text: string, { issues }) => {
      const value = read(text);
      if (value !== undefined) return value;
      issues.push({ code: 'custom', message: expected, input: text });
      return z.NEVER;
    }),
  );
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

interface Bounds<T> {
  min: T;
  max: T;
  default: T;
  doc: string;
}

function duration(option: Bounds<string>) {
  const min = parseDuration(option.min)!;
  const max = parseDuration(option.max)!;
  const expected = `a duration from ${option.min} to ${option.max} like 250ms, 5s or 1m`;
  return z
    .prefault(
      readText(expected, (text) => within(parseDuration(text), min, max)),
      option.default,
    )
    .register(z.globalRegistry, {
      description: option.doc,
      kind: 'duration',
      pattern: DURATION.source,
      range: `${option.min} to ${option.max}`,
    });
}

function sizeWithoutDefault(option: Omit<Bounds<string>, 'default'>) {
  const min = parseSize(option.min)!;
  const max = parseSize(option.max)!;
  const expected = `a size from ${option.min} to ${option.max} like 8KiB or 1MiB`;
  return readText(expected, (text) => within(parseSize(text), min, max)).register(z.globalRegistry, {
    description: option.doc,
    kind: 'size',
    pattern: SIZE.source,
    range: `${option.min} to ${option.max}`,
  });
}

function size(option: Bounds<string>) {
  return z.prefault(sizeWithoutDefault(option), option.default);
}

function integer(option: Bounds<number>) {
  const expected = `a whole number from ${option.min} to ${option.max}`;
  return z
    ._default(
      z
        .int({ error: expected })
        .check(z.minimum(option.min, { error: expected }), z.maximum(option.max, { error: expected })),
      option.default,
    )
    .register(z.globalRegistry, {
      description: option.doc,
      kind: 'integer',
      range: `${option.min} to ${option.max}`,
    });
}

function flag(option: { default: boolean; doc: string }) {
  return z
    ._default(z.boolean({ error: 'true or false' }), option.default)
    .register(z.globalRegistry, { description: option.doc, kind: 'boolean' });
}

const LISTEN_EXPECTED =
  'an address like ":8000", "127.0.0.1:8000", "[::1]:8000" or "unix:/run/splitter.sock"';

const listenAddress = readText(LISTEN_EXPECTED, parseListen);

/** An upstream's URL, taken apart. `path` is a Unix socket's; `authority` is what a Host field would say. */
export interface UpstreamUrl {
  readonly tls: boolean;
  readonly host: string;
  readonly port: number;
  readonly path: string | null;
  readonly authority: string;
}

/** "http://host[:port]", "https://host[:port]" or "unix:/path" -> parts; undefined for anything else, so also with a path or a query. */
export function parseUpstreamUrl(text: string): UpstreamUrl | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice(5);
    if (!path.startsWith('/')) return undefined;
    return { tls: false, host: 'localhost', port: 0, path, authority: 'localhost' };
  }
  const match = /^(https?):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?\/?$/.exec(text);
  if (match === null) return undefined;
  const tls = match[1] === 'https';
  const bracketed = match[2]!;
  const host = bracketed.startsWith('[') ? bracketed.slice(1, -1) : bracketed;
  const port = match[3] === undefined ? (tls ? 443 : 80) : Number(match[3]);
  if (port < 1 || port > 65535) return undefined;
  const authority = match[3] === undefined ? bracketed : `${bracketed}:${match[3]}`;
  return { tls, host, port, path: null, authority };
}

/** What an upstream's URL has to look like. */
export const URL_EXPECTED =
  'a URL like http://backend:8080, https://backend or unix:/run/app.sock, without a path';

const upstreamUrl = readText(URL_EXPECTED, parseUpstreamUrl);

const pool = z.strictObject({
  maxConnections: integer({
    min: 1,
    max: 65_536,
    default: 256,
    doc: 'Most connections open to this upstream at once. Tunnels and event streams do not count.',
  }),
  maxTunnels: integer({
    min: 0,
    max: 1_000_000,
    default: 4096,
    doc: 'Most tunnels (WebSocket) and event streams (`text/event-stream`) to this upstream at once. One more tunnel is answered with 503 TUNNELS_EXHAUSTED; one more event stream counts in `maxConnections`.',
  }),
  maxHeld: integer({
    min: 0,
    max: 65_536,
    default: 1024,
    doc: 'While exchanges wait for a connection, those of slow clients (an upload that does not come, a response that is not read) do not count in `maxConnections`, up to this many, which are open beside it. When these are used up too, clients that make no progress are cut off with CLIENT_TOO_SLOW. 0: slow clients count as all others and none is cut off.',
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
    doc: 'An idle upstream connection is closed after this time, or earlier where the Keep-Alive field of a response says so; below the 5 s after which many Node upstreams close.',
  }),
  maxAge: duration({
    min: '100ms',
    max: '24h',
    default: '5m',
    doc: 'A connection older than this is not used again (10 % jitter), so that a ClusterIP does not pin one pod.',
  }),
  maxExchanges: integer({
    min: 1,
    max: 1_000_000_000,
    default: 100_000,
    doc: 'A connection that served so many exchanges is not used again (10 % jitter).',
  }),
  pipelining: integer({
    min: 1,
    max: 64,
    default: 1,
    doc: 'Most requests without a body that share a connection, sent together and answered in order. Read docs/operations.md before you raise it.',
  }),
});

const retry = z.strictObject({
  attempts: integer({
    min: 0,
    max: 1,
    default: 1,
    doc: 'How often an exchange is sent again on another connection of the same upstream, where that is safe. 0 also makes a refused connect final: no second try after a pause.',
  }),
});

const FILE_EXPECTED = 'the absolute path of a PEM file';

const pemFile = (doc: string) =>
  z
    .optional(z.string({ error: FILE_EXPECTED }).check(z.regex(/^\//, { error: FILE_EXPECTED })))
    .register(z.globalRegistry, { description: doc, kind: 'path' });

const tls = z.strictObject({
  caFile: pemFile(
    'Authorities that may sign the certificate of the upstream, instead of those of the system.',
  ),
  certFile: pemFile('Certificate that is shown to the upstream; needs `keyFile`.'),
  keyFile: pemFile('Key of `certFile`.'),
  serverName: z
    .optional(z.string({ error: 'a host name' }).check(z.regex(/^[A-Za-z0-9.-]+$/, { error: 'a host name' })))
    .register(z.globalRegistry, {
      description: "Name that the certificate must carry. Unset: the URL's host.",
      kind: 'string',
    }),
});

const eject = z.strictObject({
  failures: integer({
    min: 0,
    max: 1000,
    default: 3,
    doc: 'Failures in a row (connect, reset, silence, bad response) after which an address is left out; 0 = never. The last healthy address never is.',
  }),
  time: duration({
    min: '10ms',
    max: '1h',
    default: '1s',
    doc: 'How long it is left out the first time; then one exchange tries it. Each further time in a row doubles it.',
  }),
  timeMax: duration({
    min: '10ms',
    max: '24h',
    default: '60s',
    doc: 'Longest time for which it is left out.',
  }),
});

const probe = z.strictObject({
  path: z
    .string({ error: 'a path like /healthz' })
    .check(z.regex(/^\/[\x21-\x7e]*$/, { error: 'a path like /healthz' }))
    .register(z.globalRegistry, {
      description: 'Path that is asked; 200 to 399 is a good answer.',
      kind: 'string',
    }),
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
    doc: 'Bad answers in a row that take an address down.',
  }),
  successes: integer({ min: 1, max: 1000, default: 1, doc: 'Good answers in a row that bring it back.' }),
});

const UPSTREAM_EXPECTED = 'the name of an upstream or a URL like http://backend:8080';
const ON_DOWN_EXPECTED = '`fail` or `{ fallback: UPSTREAM }`';

/** Fields that say how the message is framed or what the connection does, and Host, which has an option of its own. */
const FRAMING_FIELD =
  /^(?:connection|content-length|expect|host|keep-alive|max-forwards|proxy-connection|te|trailer|transfer-encoding|upgrade|via)$/i;

/** True for the name of a field that may be set to a value of the user's own. */
export function isSettableField(name: string): boolean {
  return /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/.test(name) && !FRAMING_FIELD.test(name);
}

/** A value of a field as a key text of the same length: without the variables that only such a value has. */
export function withoutValueVariables(text: string): string {
  return text.replace(
    /\$(?:\{(?:proxy_add_x_forwarded_for|scheme)\}|(?:proxy_add_x_forwarded_for|scheme)(?!\w))/g,
    (name) => '-'.repeat(name.length),
  );
}

const HOST_VALUE_EXPECTED = 'a Host field value like "backend.example:8080", "$host" or "$proxy_host"';
const SET_NAME_EXPECTED =
  'the name of a field that is not about the connection or the length of the message (Host is set by host)';
const SET_VALUE_EXPECTED =
  'a text like "$remote_addr" or "shop $host" without control characters, 4096 characters at most';

/** Bounds of what a message head may be at most: no larger one has been seen in honest use. */
const HEAD_BYTES = { min: '1KiB', max: '1MiB', default: '32KiB' } as const;
const FIELDS = { min: 10, max: 10_000, default: 100 } as const;

const upstreamLimits = z.strictObject({
  responseHead: size({
    ...HEAD_BYTES,
    doc: 'Most bytes of all header fields of a response together, line ends included; more are answered with 502.',
  }),
  responseFields: integer({
    ...FIELDS,
    doc: 'Most header fields of a response; more are answered with 502.',
  }),
});

/** Options of one upstream; `upstreamDefaults` takes the same ones for all. */
const upstreamSettings = {
  host: z
    .optional(
      z.string({ error: HOST_VALUE_EXPECTED }).check(
        z.regex(/^(?:\$proxy_host|\$host(?::\d{1,5})?|[A-Za-z0-9._:[\]-]+)$/, {
          error: HOST_VALUE_EXPECTED,
        }),
      ),
    )
    .register(z.globalRegistry, {
      description:
        "Host field sent to this upstream; `$proxy_host` sends the URL's own, `$host` the client's in lower case without its port. Unset: the client's Host is kept.",
      kind: 'string',
    }),
  setHeaders: z
    .optional(
      z.record(
        z.string().check(z.refine(isSettableField, { error: SET_NAME_EXPECTED })),
        z
          .string({ error: SET_VALUE_EXPECTED })
          .check(
            z.maxLength(4096, { error: SET_VALUE_EXPECTED }),
            z.regex(/^[^\0-\x08\x0a-\x1f\x7f]*$/, { error: SET_VALUE_EXPECTED }),
          )
          .register(z.globalRegistry, {
            description: 'Value of the field; an empty one takes it out.',
            kind: 'key text',
          }),
        { error: 'a map of field name to value' },
      ),
    )
    .register(z.globalRegistry, {
      description:
        "Fields of requests to this upstream in place of the client's own: variables as in a key, and `$scheme` and `$proxy_add_x_forwarded_for`. What stands here stands above `forwarded`.",
      kind: 'map of field values',
    }),
  connectTimeout: duration({
    min: '1ms',
    max: '10m',
    default: '2s',
    doc: 'Longest wait for one connect to an address before the next address is tried or the answer is 504.',
  }),
  responseTimeout: duration({
    min: '1ms',
    max: '24h',
    default: '60s',
    doc: 'Longest silence of the upstream before the exchange ends with 504.',
  }),
  limits: z
    .prefault(upstreamLimits, {})
    .register(z.globalRegistry, { description: 'Limits of responses.', kind: 'map' }),
  pool: z
    .prefault(pool, {})
    .register(z.globalRegistry, { description: 'Connections to the upstream.', kind: 'map' }),
  retry: z
    .prefault(retry, {})
    .register(z.globalRegistry, { description: 'When an exchange is sent again.', kind: 'map' }),
  tls: z.optional(tls).register(z.globalRegistry, {
    description: 'TLS towards an `https://` upstream. Certificates are always verified.',
    kind: 'map',
  }),
  eject: z
    .prefault(eject, {})
    .register(z.globalRegistry, { description: 'When an address is left out for a time.', kind: 'map' }),
  probe: z.optional(probe).register(z.globalRegistry, {
    description: 'Asks each address regularly whether it is up. Unset: no probes.',
    kind: 'map',
  }),
  onDown: z
    .prefault(
      z.union(
        [
          z.pipe(
            z.literal('fail'),
            z.transform(() => null),
          ),
          z.pipe(
            z.strictObject({
              fallback: z
                .string({ error: UPSTREAM_EXPECTED })
                .check(z.minLength(1, { error: UPSTREAM_EXPECTED }))
                .register(z.globalRegistry, {
                  description:
                    'Upstream that takes the exchange: the name of an entry in `upstreams`, or a URL.',
                  kind: 'string',
                }),
            }),
            z.transform((one) => one.fallback),
          ),
        ],
        { error: ON_DOWN_EXPECTED },
      ),
      'fail',
    )
    .register(z.globalRegistry, {
      description:
        'What happens when no connection can be made: `fail` keeps the sample clean; `{ fallback: UPSTREAM }` sends the exchange there, marked and counted.',
      kind: 'fail | { fallback: UPSTREAM }',
    }),
};

const SERVERS_EXPECTED = 'a list of 1 to 1000 servers';

const server = z.strictObject({
  url: z
    .clone(upstreamUrl)
    .register(z.globalRegistry, { description: 'Where the server is, as in `url`.', kind: 'URL' }),
  weight: integer({
    min: 1,
    max: 1000,
    default: 1,
    doc: 'Part of the exchanges by ratio; each address that a name has counts with it.',
  }),
  backup: flag({ default: false, doc: 'Takes exchanges only while no server without `backup` is healthy.' }),
  down: flag({ default: false, doc: 'Takes none: taken out for a time.' }),
  eject: z.optional(eject).register(z.globalRegistry, {
    description: "When an address of this server is left out, in place of the upstream's `eject`.",
    kind: 'map',
  }),
});

/** One upstream: its URL or servers, and its settings. */
export const upstreamSchema = z
  .strictObject({
    url: z.optional(upstreamUrl).register(z.globalRegistry, {
      description: 'Where the upstream is: `http://host[:port]`, `https://host[:port]` or `unix:/path`.',
      kind: 'URL',
    }),
    servers: z
      .optional(
        z
          .array(server, { error: SERVERS_EXPECTED })
          .check(z.minLength(1, { error: SERVERS_EXPECTED }), z.maxLength(1000, { error: SERVERS_EXPECTED })),
      )
      .register(z.globalRegistry, {
        description: 'Several servers that share the exchanges, in place of `url`.',
        kind: 'list',
      }),
    ...upstreamSettings,
    // For editors; config/link tells it in words.
  })
  .register(z.globalRegistry, {
    oneOf: ['url', 'servers'].map((place) => ({
      type: 'object',
      properties: { [place]: {} },
      required: [place],
    })),
  });

/** What a share has to look like. */
export const SHARE_EXPECTED = 'a percentage from 0% to 100% with two decimals at most, or "*" for the rest';

const SHARE = /^\*$|^(\d{1,3})(?:\.(\d{1,2}))?%$/;

/** "12.5%" -> 1250 (hundredths of a percent); "*" -> null; undefined for anything else. Source: ngx_http_split_clients_module. */
export function parseShare(text: string): number | null | undefined {
  if (text === '*') return null;
  const match = SHARE.exec(text);
  if (match === null) return undefined;
  const hundredths = Number(match[1]) * 100 + Number((match[2] ?? '').padEnd(2, '0'));
  return hundredths <= 10_000 ? hundredths : undefined;
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,62}$/;
const NAME_EXPECTED = 'a name of letters, digits, "_", "-", "." or ":", 63 characters at most';

const variant = z.strictObject({
  name: z
    .string({ error: NAME_EXPECTED })
    .check(z.regex(NAME, { error: NAME_EXPECTED }))
    .register(z.globalRegistry, {
      description: 'Name of the variant, as metrics and logs show it.',
      kind: 'string',
    }),
  share: z.optional(readText(SHARE_EXPECTED, parseShare)).register(z.globalRegistry, {
    description: 'Part of all keys: "12.5%", "0%" parks the variant, "*" takes the rest (last variant only).',
    kind: 'share',
    pattern: SHARE.source,
  }),
  weight: z
    .optional(
      z
        .int({ error: 'a whole number from 0 to 1000000' })
        .check(
          z.minimum(0, { error: 'a whole number from 0 to 1000000' }),
          z.maximum(1_000_000, { error: 'a whole number from 0 to 1000000' }),
        ),
    )
    .register(z.globalRegistry, {
      description: 'Instead of `share`, for all variants of a split: parts by ratio.',
      kind: 'integer',
    }),
  upstream: z
    .string({ error: UPSTREAM_EXPECTED })
    .check(z.minLength(1, { error: UPSTREAM_EXPECTED }))
    .register(z.globalRegistry, {
      description: 'Name of an entry in `upstreams`, or a URL.',
      kind: 'string',
    }),
});

/** Ways to map a hash to a variant. */
const METHODS = ['ranges', 'rendezvous'] as const;
/** What happens to a request without a key. */
const MISSING_KEY = ['default', 'first', 'random', 'reject'] as const;

const KEY_EXPECTED =
  "a key text like '$arg_token' or 'exp42:${cookie_uid}' (single quotes keep a shell from emptying it)";
const KEYS_EXPECTED = `${KEY_EXPECTED}, or a list of 1 to 16 of them, of { remember: '$arg_token' }, and of { mint: uid } as the last entry`;

const keyText = z.string({ error: KEY_EXPECTED }).check(z.minLength(1, { error: KEY_EXPECTED }));

/** What can be the name of a cookie that a key text reads as ${cookie_NAME}. */
const COOKIE = /^[A-Za-z0-9_.~-]{1,64}$/;
const COOKIE_EXPECTED = 'a cookie name of letters, digits, "_", "-", "." and "~", 64 characters at most';
const COOKIE_PATH_EXPECTED = 'a path like / or /shop, without ";"';

/** When a cookie says Secure. */
const SECURE = ['auto', 'always', 'never'] as const;

const keyCookie = (name: string) => ({
  cookie: z
    ._default(z.string({ error: COOKIE_EXPECTED }).check(z.regex(COOKIE, { error: COOKIE_EXPECTED })), name)
    .register(z.globalRegistry, {
      description: 'Name of the cookie. It holds the key, never the variant.',
      kind: 'string',
    }),
  path: z
    ._default(
      z
        .string({ error: COOKIE_PATH_EXPECTED })
        .check(z.regex(/^\/[\x21-\x3a\x3c-\x7e]*$/, { error: COOKIE_PATH_EXPECTED })),
      '/',
    )
    .register(z.globalRegistry, {
      description: 'Path of the cookie; a `__Host-` name needs `/`.',
      kind: 'string',
    }),
  maxAge: duration({
    min: '1s',
    max: '9600h',
    default: '8760h',
    doc: 'How long the cookie is kept; browsers keep none for longer than 400 days.',
  }),
  secure: z._default(z.enum(SECURE, { error: 'auto, always or never' }), 'auto').register(z.globalRegistry, {
    description:
      'Whether the cookie says Secure: `auto` = when the request came by https, as X-Forwarded-Proto of the hop before says, and always for a `__Host-` or `__Secure-` name.',
    kind: 'auto | always | never',
  }),
});

const mint = z.strictObject({
  mint: z.literal('uid', { error: 'uid, the one thing that can be minted' }).register(z.globalRegistry, {
    description:
      '`uid`: a request for which no other key was found gets a random one of 128 bits, in a cookie (HttpOnly, SameSite=Lax) that is read back as the key.',
    kind: 'uid',
  }),
  ...keyCookie('splitter_uid'),
});

const remember = z.strictObject({
  remember: z.clone(keyText).register(z.globalRegistry, {
    description:
      'A key text. A key that it gives is kept in a cookie (HttpOnly, SameSite=Lax), which is read as the key where the text gives none.',
    kind: 'key text',
  }),
  ...keyCookie('splitter_key'),
});

/** Fields that mean something to the message, the connection or the splitter itself: no header of the user's own. */
const RESERVED_FIELD =
  /^(?:accept(?:-.*)?|age|allow|authorization|cache-control|connection|content-.*|cookie|date|etag|expect|expires|forwarded|from|host|if-.*|keep-alive|last-modified|location|max-forwards|origin|pragma|proxy-.*|range|referer|retry-after|server|set-cookie|te|traceparent|tracestate|trailer|transfer-encoding|upgrade|user-agent|vary|via|warning|www-authenticate|x-forwarded-.*|x-request-id|x-splitter-.*)$/i;
const FIELD_EXPECTED =
  'a header name of letters, digits and "-" like x-variant, 64 characters at most, that has no meaning in HTTP or here yet';

const fieldName = (doc: string) =>
  z
    .string({ error: FIELD_EXPECTED })
    .check(
      z.regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/, { error: FIELD_EXPECTED }),
      z.refine((name) => !RESERVED_FIELD.test(name), { error: FIELD_EXPECTED }),
    )
    .register(z.globalRegistry, { description: doc, kind: 'string' });

/** What the secret of an override has to look like: no door needs an encoding for it. */
export const SECRET_EXPECTED =
  'a secret of 16 to 256 characters out of letters, digits, "-", "_", "." and "~"';

/** True for a secret that can stand in a header, a cookie and a query as it is. */
export function isSecret(text: string): boolean {
  return /^[A-Za-z0-9._~-]{16,256}$/.test(text);
}

const PARAMETER_EXPECTED = 'a parameter name of letters, digits, "_", "-" and ".", 64 characters at most';
const VARIABLE_EXPECTED = 'the name of an environment variable';
const SECRET_FILE_EXPECTED = 'the absolute path of a file that holds the secret';
const OVERRIDE_VARIANTS_EXPECTED = 'a list of 1 to 1000 names of variants';

const override = z.strictObject({
  header: z.optional(fieldName('Header field whose value names the variant.')),
  cookie: z
    .optional(z.string({ error: COOKIE_EXPECTED }).check(z.regex(COOKIE, { error: COOKIE_EXPECTED })))
    .register(z.globalRegistry, { description: 'Cookie whose value names the variant.', kind: 'string' }),
  query: z
    .optional(
      z
        .string({ error: PARAMETER_EXPECTED })
        .check(z.regex(/^[A-Za-z0-9_.-]{1,64}$/, { error: PARAMETER_EXPECTED })),
    )
    .register(z.globalRegistry, {
      description: 'Query parameter whose value names the variant.',
      kind: 'string',
    }),
  variants: z
    .array(z.string({ error: OVERRIDE_VARIANTS_EXPECTED }), { error: OVERRIDE_VARIANTS_EXPECTED })
    .check(
      z.minLength(1, { error: OVERRIDE_VARIANTS_EXPECTED }),
      z.maxLength(1000, { error: OVERRIDE_VARIANTS_EXPECTED }),
    )
    .register(z.globalRegistry, {
      description: 'Variants that can be had this way; those with a share of 0% too.',
      kind: 'list',
    }),
  secret: z
    .optional(z.string({ error: SECRET_EXPECTED }).check(z.refine(isSecret, { error: SECRET_EXPECTED })))
    .register(z.globalRegistry, {
      description: 'What has to stand behind the name: `NAME~SECRET`. Unset: nothing.',
      kind: 'secret',
    }),
  secretVariable: z
    .optional(
      z
        .string({ error: VARIABLE_EXPECTED })
        .check(z.regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: VARIABLE_EXPECTED })),
    )
    .register(z.globalRegistry, {
      description: 'Environment variable that holds the secret, in place of `secret`.',
      kind: 'string',
    }),
  secretFile: z
    .optional(
      z.string({ error: SECRET_FILE_EXPECTED }).check(z.regex(/^\/./, { error: SECRET_FILE_EXPECTED })),
    )
    .register(z.globalRegistry, {
      description: 'File that holds the secret, in place of `secret`; watched like the configuration.',
      kind: 'path',
    }),
});

const split = z.strictObject({
  key: z
    ._default(
      z.union(
        [
          keyText,
          z
            .array(
              z.union([keyText, remember, mint], {
                error: `${KEY_EXPECTED}, { remember: '$arg_token' } or { mint: uid }`,
              }),
              { error: KEYS_EXPECTED },
            )
            .check(z.minLength(1, { error: KEYS_EXPECTED }), z.maxLength(16, { error: KEYS_EXPECTED })),
        ],
        { error: KEYS_EXPECTED },
      ),
      '$arg_token',
    )
    .register(z.globalRegistry, {
      description:
        'What is hashed: $arg_X $http_X $cookie_X $remote_addr $host $uri $request_uri $request_method $args, `${…}`, and text around them as a salt. In a list the first key that is not missing counts; `{ remember: $arg_token }` keeps it in a cookie, and `{ mint: uid }` may stand last.',
      kind: 'key text | list',
    }),
  method: z
    ._default(z.enum(METHODS, { error: 'ranges or rendezvous' }), 'ranges')
    .register(z.globalRegistry, {
      description:
        "`ranges` = nginx's arithmetic; `rendezvous` = least movement with three variants or more.",
      kind: 'ranges | rendezvous',
    }),
  missingKey: z
    ._default(z.enum(MISSING_KEY, { error: 'default, first, random or reject' }), 'default')
    .register(z.globalRegistry, {
      description:
        'Requests without a key go to: `default` = the "*" (or last) variant, `first` = as nginx, `random` = by share, `reject` = 400.',
      kind: 'default | first | random | reject',
    }),
  variants: z
    .array(variant, { error: 'a list of 1 to 1000 variants' })
    .check(
      z.minLength(1, { error: 'a list of 1 to 1000 variants' }),
      z.maxLength(1000, { error: 'a list of 1 to 1000 variants' }),
    )
    .register(z.globalRegistry, {
      description: 'The arms of the split; their order matters for `ranges`.',
      kind: 'list',
    }),
  override: z.optional(override).register(z.globalRegistry, {
    description:
      'Lets testers choose a variant by header, cookie or query, outside the sample. Unset: nobody can.',
    kind: 'map',
  }),
});

const HOST_PATTERN = /^(?:\*\.)?[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$/;

const PATH_EXPECTED = 'a path like /api/, as it is once decoded: without "?", "//", "/./" and "/../"';
/** Of which limits a route may have its own. */
const BODY_LIMIT = {
  min: '0B',
  max: '1024GiB',
  doc: 'Largest request body; more is answered with 413.',
} as const;

const route = z.strictObject({
  listen: z.optional(listenAddress).register(z.globalRegistry, {
    description:
      'One of the addresses in `listen`: this route takes what comes in there. Unset: from all of them.',
    kind: 'address',
  }),
  host: z
    .optional(
      z
        .string({ error: 'a host name like shop.example or *.shop.example' })
        .check(z.regex(HOST_PATTERN, { error: 'a host name like shop.example or *.shop.example' })),
    )
    .register(z.globalRegistry, {
      description:
        'Host name that this route takes, `*.` in front for all names below it. Unset: every host.',
      kind: 'string',
    }),
  path: z
    ._default(
      z
        .string({ error: PATH_EXPECTED })
        .check(z.regex(/^(?!.*\/(?:\/|\.{1,2}(?:\/|$)))\/[^\0-\x1f\x7f?]*$/, { error: PATH_EXPECTED })),
      '/',
    )
    .register(z.globalRegistry, {
      description:
        'Path prefix that this route takes; the longest one wins. Requests are compared with their path decoded, `//` merged, `.` and `..` resolved.',
      kind: 'string',
    }),
  exact: flag({ default: false, doc: 'The route takes this path alone, and before any prefix.' }),
  split: z
    .optional(z.string({ error: 'the name of a split' }))
    .register(z.globalRegistry, { description: 'Split that decides.', kind: 'string' }),
  upstream: z.optional(z.string({ error: 'the name of an upstream or a URL' })).register(z.globalRegistry, {
    description: 'Upstream that takes it all, without a split.',
    kind: 'string',
  }),
  limits: z
    .optional(z.strictObject({ requestBody: z.optional(sizeWithoutDefault(BODY_LIMIT)) }))
    .register(z.globalRegistry, {
      description: 'Limits of this route, in place of those of all.',
      kind: 'map',
    }),
});

const timeouts = z.strictObject({
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
});

const limits = z.strictObject({
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
    ...FIELDS,
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
});

/** What becomes of an exchange whose client ends its side of the connection. */
const HALF_CLOSE = ['close', 'answer'] as const;

const drain = z.strictObject({
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
});

/** Which exchanges get a line of the log. */
export const ACCESS_LOG_MODES = ['off', 'errors', 'all', 'sampled'] as const;

const PERCENTAGE_EXPECTED = 'a percentage from 0% to 100% with two decimals at most';

const accessLog = z.strictObject({
  mode: z
    ._default(z.enum(ACCESS_LOG_MODES, { error: 'off, errors, all or sampled' }), 'off')
    .register(z.globalRegistry, {
      description:
        'Exchanges that get a line of the log: `errors` = those with a fault or a 5xx, `sampled` = these and a share of the others.',
      kind: 'off | errors | all | sampled',
    }),
  sample: z
    .prefault(
      readText(PERCENTAGE_EXPECTED, (text) => parseShare(text) ?? undefined),
      '1%',
    )
    .register(z.globalRegistry, {
      description: 'Share of the exchanges that went well which `sampled` logs.',
      kind: 'share',
    }),
});

const ASSIGNMENTS_EXPECTED = 'off, stdout, or a path like /var/log/assignments.jsonl';

const assignments = z
  .strictObject({
    to: z
      ._default(
        z
          .string({ error: ASSIGNMENTS_EXPECTED })
          .check(z.regex(/^(?:off|stdout|\/.+)$/, { error: ASSIGNMENTS_EXPECTED })),
        'off',
      )
      .register(z.globalRegistry, {
        description:
          'Where one JSON line per key and window goes, with split, variant and the keyed hash of the key: `off`, `stdout` or a file.',
        kind: 'off | stdout | path',
      }),
    window: duration({
      min: '1s',
      max: '168h',
      default: '1h',
      doc: 'A key gets one line in each window of this length.',
    }),
    secretFile: z
      .optional(
        z
          .string({ error: 'a path like /etc/secrets/assignments' })
          .check(z.regex(/^\/./, { error: 'a path like /etc/secrets/assignments' })),
      )
      .register(z.globalRegistry, {
        description: 'File with the secret of the keyed hash (HMAC-SHA-256); needed unless `to` is off.',
        kind: 'path',
      }),
  })
  .check(
    z.refine(({ to, secretFile }) => to === 'off' || secretFile !== undefined, {
      path: ['secretFile'],
      error: 'the path of a file with the secret, because assignments.to is not off',
    }),
  );

/** How X-Forwarded-For, -Proto and -Host are treated. */
const FORWARDED = ['append', 'replace', 'keep', 'remove'] as const;

/** Whom the variant header is for. */
const VARIANT_HEADER_TO = ['upstream', 'client'] as const;
/** Whether requests without a traceparent get one, and which flag it has. */
const TRACEPARENT = ['off', 'sampled', 'unsampled'] as const;

const VARIANT_HEADER_TO_EXPECTED = 'a list of upstream, client or both';

const variantHeader = z.strictObject({
  name: fieldName('Name of the header field; what a client sends under it is always removed.'),
  to: z
    ._default(
      z
        .array(z.enum(VARIANT_HEADER_TO, { error: VARIANT_HEADER_TO_EXPECTED }), {
          error: VARIANT_HEADER_TO_EXPECTED,
        })
        .check(z.minLength(1, { error: VARIANT_HEADER_TO_EXPECTED })),
      ['upstream'],
    )
    .register(z.globalRegistry, {
      description: 'Who is told the name of the variant: `upstream`, `client` or both.',
      kind: 'list',
    }),
});

const WORKERS_MAX = 256;
const WORKERS_EXPECTED = `a whole number from 1 to ${WORKERS_MAX}, or auto`;

/** A configuration document as a user writes it. `config/parse` turns it into a Config. */
export const documentSchema = z.strictObject({
  // A single address is a list of one, so that a problem names the entry that is wrong.
  listen: z
    .prefault(
      z.pipe(
        z.transform((value) => (Array.isArray(value) ? value : [value])),
        z.array(listenAddress).check(z.minLength(1, { error: LISTEN_EXPECTED })),
      ),
      LISTEN_DEFAULT,
    )
    .register(z.globalRegistry, {
      description: 'Where requests are taken: `:8000` is every address, IPv4 and IPv6. One or a list.',
      kind: 'address',
      single: true,
    }),
  admin: z
    .prefault(
      z.union(
        [
          z.pipe(
            z.literal('off'),
            z.transform(() => null),
          ),
          listenAddress,
        ],
        { error: `${LISTEN_EXPECTED}, or off` },
      ),
      ADMIN_DEFAULT,
    )
    .register(z.globalRegistry, { description: 'Where the admin port listens, or `off`.', kind: 'address' }),
  workers: z
    ._default(
      z.union(
        [
          z.literal('auto'),
          z
            .int()
            .check(
              z.minimum(1, { error: WORKERS_EXPECTED }),
              z.maximum(WORKERS_MAX, { error: WORKERS_EXPECTED }),
            ),
        ],
        { error: WORKERS_EXPECTED },
      ),
      1,
    )
    .register(z.globalRegistry, {
      description:
        'Processes that take requests: 1 is right for a sidecar, more for a Deployment of its own; `auto` = one per core. Limits hold for all together.',
      kind: 'integer | auto',
      range: `1 to ${WORKERS_MAX}`,
    }),
  upstreams: z
    ._default(
      z.record(z.string().check(z.regex(NAME, { error: NAME_EXPECTED })), upstreamSchema, {
        error: 'a map of name to upstream',
      }),
      {},
    )
    .register(z.globalRegistry, { description: 'Upstreams by name.', kind: 'map' }),
  upstreamDefaults: z.prefault(z.strictObject(upstreamSettings), {}).register(z.globalRegistry, {
    description: 'Settings for every upstream, also for those written inline as a URL.',
    kind: 'map',
  }),
  splits: z
    ._default(
      z.record(z.string().check(z.regex(NAME, { error: NAME_EXPECTED })), split, {
        error: 'a map of name to split',
      }),
      {},
    )
    .register(z.globalRegistry, { description: 'Splits by name.', kind: 'map' }),
  routes: z._default(z.array(route, { error: 'a list of routes' }), []).register(z.globalRegistry, {
    description:
      'Which split or upstream takes which host and path. Without routes a single split takes everything.',
    kind: 'list',
  }),
  timeouts: z
    .prefault(timeouts, {})
    .register(z.globalRegistry, { description: 'Time limits towards clients.', kind: 'map' }),
  limits: z
    .prefault(limits, {})
    .register(z.globalRegistry, { description: 'Limits towards clients.', kind: 'map' }),
  halfClose: z
    ._default(z.enum(HALF_CLOSE, { error: 'close or answer' }), 'close')
    .register(z.globalRegistry, {
      description:
        'What a client means that ends its side of the connection (FIN) before it has its whole answer: `close` = it has gone, its exchange ends; `answer` = it has sent everything and still reads. Tunnels pass the FIN on.',
      kind: 'close | answer',
    }),
  drain: z
    .prefault(drain, {})
    .register(z.globalRegistry, { description: 'How the splitter goes away.', kind: 'map' }),
  forwarded: z
    ._default(z.enum(FORWARDED, { error: 'append, replace, keep or remove' }), 'append')
    .register(z.globalRegistry, {
      description:
        "What happens to X-Forwarded-For, -Proto and -Host on the way to the upstream. `replace` and `remove` also drop the client's Forwarded and every other X-Forwarded field, in any spelling that an application could take for one (`X_Forwarded_For`), in trailers too.",
      kind: 'append | replace | keep | remove',
    }),
  variantHeader: z.optional(variantHeader).register(z.globalRegistry, {
    description: 'A header field that names the variant. Unset: none.',
    kind: 'map',
  }),
  vary: flag({
    default: false,
    doc: 'Adds Vary with the fields that key and override of the split read, so that no cache on the way to the client mixes variants.',
  }),
  requestId: flag({
    default: false,
    doc: 'Gives a request without an x-request-id one (a UUID); one that is there passes on and stands in the log either way.',
  }),
  traceparent: z
    ._default(z.enum(TRACEPARENT, { error: 'off, sampled or unsampled' }), 'off')
    .register(z.globalRegistry, {
      description:
        'Gives a request without a traceparent one (W3C Trace Context), with or without the flag that asks for its recording; one that is there passes on.',
      kind: 'off | sampled | unsampled',
    }),
  via: flag({
    default: false,
    doc: 'Adds Via as RFC 9110 §7.6.3 says. Off: nginx upstreams turn gzip off when they see it.',
  }),
  upgrades: z
    ._default(
      z
        .array(
          z
            .string({ error: 'a protocol name like websocket' })
            .check(z.regex(/^[A-Za-z0-9.-]+$/, { error: 'a protocol name like websocket' })),
          {
            error: 'a list of protocol names like [websocket]',
          },
        )
        .check(
          z.refine((names) => !names.some((name) => /^h2c?$/i.test(name)), {
            error: 'protocols other than h2c',
          }),
        ),
      ['websocket'],
    )
    .register(z.globalRegistry, {
      description: 'Protocols to which a connection may be upgraded; never h2c.',
      kind: 'list',
    }),
  accessLog: z
    .prefault(accessLog, {})
    .register(z.globalRegistry, { description: 'A line of the log for exchanges.', kind: 'map' }),
  assignments: z.prefault(assignments, {}).register(z.globalRegistry, {
    description: 'Events that say which key was given to which variant.',
    kind: 'map',
  }),
});

/** The document with every default filled in, before names are linked. */
export type ConfigDocument = z.output<typeof documentSchema>;
/** Options of one split, defaults filled in. */
export type SplitConfig = z.output<typeof split>;
/** Where a split's key is found: a key text, or a list of them, remembered or not, that may end with a minted one. */
export type KeyConfig = SplitConfig['key'];
/** A key that is made for a client without one. */
export type MintConfig = z.output<typeof mint>;
/** A key text whose key is kept in a cookie. */
export type RememberConfig = z.output<typeof remember>;
/** How testers choose a variant; `secret` is filled in, wherever it came from. */
export type OverrideConfig = NonNullable<SplitConfig['override']>;
/** TLS options of one upstream. */
export type TlsConfig = NonNullable<UpstreamConfig['tls']>;
/** Options of one upstream, defaults filled in. */
export type UpstreamConfig = z.output<typeof upstreamSchema>;
/** One server of an upstream, defaults filled in. */
export type MemberConfig = z.output<typeof server>;

/** The servers of an upstream, at least one: those of its list, or its URL as the only one. */
export function membersOf({ url, servers }: UpstreamConfig): readonly MemberConfig[] {
  if (servers !== undefined) return servers;
  if (url === undefined) throw new Error('broken invariant: an upstream without url and servers');
  return [{ url, weight: 1, backup: false, down: false }];
}

/** Which split or upstream takes a host and path; exactly one of the two is set. */
export type RouteConfig = Omit<z.output<typeof route>, 'split' | 'upstream' | 'exact'> & {
  exact?: boolean;
} & ({ split: string; upstream?: undefined } | { split?: undefined; upstream: string });

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
