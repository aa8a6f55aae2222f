// The running configuration in the words of a configuration file: durations, sizes, shares and addresses as a user
// writes them, every default filled in, secrets removed. Which value is which comes from the option declaration, so
// a new option needs nothing here unless it has a new kind.

import { optionRows } from '../config/declaration.ts';
import type { ListenAddress } from '../config/listen-address.ts';
import type { UpstreamUrl } from '../config/options/addresses.ts';
import { BALANCE_KIND } from '../config/options/balance.ts';
import type { Config } from '../config/options/document.ts';
import { formatInstant, formatSlot, formatWorseBy, type Slot } from '../config/options/experiment.ts';
import type { ListenOption } from '../config/options/listen.ts';
import { withoutCredentials } from '../config/options/sample.ts';
import { REMOVED, withoutLiterals } from '../config/secrets.ts';
import { formatNetwork, type Network } from '../ip-address.ts';
import { List, Members } from './json-pieces.ts';

const DURATION_UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;
const SIZE_UNITS = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const;

/** In the largest unit that divides it: 60000 -> "1m", 75000 -> "75s". Zero takes the smallest unit. */
function inUnits(value: number, units: readonly (readonly [string, number])[], smallest: string): string {
  const unit = value === 0 ? undefined : units.find(([, factor]) => value % factor === 0);
  return unit === undefined ? `${value}${smallest}` : `${value / unit[1]}${unit[0]}`;
}

/** ":9901", "127.0.0.1:8000", "unix:/run/splitter.sock", as the file says it. */
export function formatAddress({ host, port, path }: ListenAddress): string {
  if (path !== null) return `unix:${path}`;
  return `${host?.includes(':') ? `[${host}]` : (host ?? '')}:${port}`;
}

/** The same, with what comes before HTTP there: ":8443 (PROXY protocol, TLS)". */
export function formatListener(value: ListenOption): string {
  const before = [
    value.proxyProtocol === true ? 'PROXY protocol' : [],
    value.tls === undefined ? [] : 'TLS',
  ].flat();
  return `${formatAddress(value)}${before.length === 0 ? '' : ` (${before.join(', ')})`}`;
}

/** "http://backend:8080", "unix:/run/app.sock", as the file says it. */
export function formatUpstreamUrl({ tls, authority, path }: UpstreamUrl): string {
  return path === null ? `${tls ? 'https' : 'http'}://${authority}` : `unix:${path}`;
}

/** An address alone, or a map of it and what is special about it. */
function formatListen(value: ListenOption | null): unknown {
  if (value === null) return 'off';
  const address = formatAddress(value);
  const { tls, proxyProtocol = false } = value;
  if (tls === undefined && !proxyProtocol) return address;
  return { address, ...(proxyProtocol ? { proxyProtocol } : {}), ...(tls === undefined ? {} : { tls }) };
}

/** One value of a kind that the schema turned into something else; undefined for every other kind. */
function formatKind(kind: string | undefined, value: unknown): unknown {
  switch (kind) {
    case 'duration':
    case 'durations':
      return inUnits(value as number, DURATION_UNITS, 'ms');
    case 'size':
      return inUnits(value as number, SIZE_UNITS, 'B');
    case 'share':
      return value === null ? '*' : `${(value as number) / 100}%`;
    case 'coverage':
      return typeof value === 'number' ? `${value / 100}%` : undefined;
    case 'time':
      return formatInstant(value as number);
    case 'networks':
      return formatNetwork(value as Network | null);
    case 'slot':
      return formatSlot(value as Slot);
    case 'points':
      return formatWorseBy(value as number);
    case 'percent':
      return `${value}%`;
    case 'map of shares':
      return Object.fromEntries(
        Object.entries(value as Record<string, number | null>).map(([name, share]) => [
          name,
          formatKind('share', share),
        ]),
      );
    case 'address':
      return formatListen(value as ListenOption | null);
    case 'URL':
      return formatUpstreamUrl(value as UpstreamUrl);
    case 'fail | { fallback: UPSTREAM }':
      return value === null ? 'fail' : { fallback: value };
    case BALANCE_KIND:
      return value ?? 'load';
    case 'off | path | redis URL':
      return withoutCredentials(value as string);
    case 'secret':
      return REMOVED;
    case 'map of field values':
      return Object.fromEntries(
        Object.entries(value as Record<string, string>).map(([name, text]) => [name, withoutLiterals(text)]),
      );
    default:
      return undefined;
  }
}

/** Longer lists are described while they are written. */
const SHORT_LIST = 20;

/** The configuration as a JSON value; the maps of `upstreams` and `splits` become Members, long arrays Lists. */
export function describeConfig(config: Config): unknown {
  const kinds = new Map(optionRows().map((row) => [row.path, row.kind]));

  const describe = (value: unknown, path: string): unknown => {
    if (value === undefined) return undefined;
    if (Array.isArray(value)) {
      const isOfItems = /^(?:address|slot|networks|durations)$/.test(kinds.get(path) ?? '');
      const describeItem = (item: unknown) => describe(item, isOfItems ? path : `${path}[]`);
      return value.length > SHORT_LIST ? List.of(value, describeItem) : value.map(describeItem);
    }
    const written = formatKind(kinds.get(path), value);
    if (written !== undefined) return written;
    if (value instanceof Map) {
      return new Members(function* () {
        for (const [name, item] of value) yield [name, describe(item, `${path}.*`)] as const;
      });
    }
    if (typeof value === 'object' && value !== null) {
      const below = (key: string) => (path === '' ? key : `${path}.${key}`);
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, describe(item, below(key))]),
      );
    }
    return value;
  };

  const { hash: _, splits, layers, ...options } = config;
  // The key of a split in a layer is that of the layer, where alone it may be written.
  const own = Array.from(
    splits,
    ([name, split]) => [name, split.layer === undefined ? split : { ...split, key: undefined }] as const,
  );
  const described = { ...options, splits: new Map(own) };
  return describe(
    layers === undefined ? described : { ...described, layers: new Map(Object.entries(layers)) },
    '',
  );
}
