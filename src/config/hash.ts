// The hash by which replicas compare their configurations and a reload finds out whether anything changed. It is
// public, so it must not help anyone to guess a secret.

import { createHash, scryptSync } from 'node:crypto';
import type { Config } from './options/document.ts';
import { isMap } from './raw.ts';
import { hasLiterals, withoutLiterals } from './secrets.ts';

/** Guesses cost about 35 ms each. */
const SCRYPT = { N: 8192 };

/** 12 hexadecimal digits: the same for the same meaning, whatever the order in which maps were written. */
export function hashConfig(config: Omit<Config, 'hash'>): string {
  const splitSecrets: Record<string, string> = {};
  const splits = new Map<string, unknown>();
  for (const [name, split] of config.splits) {
    const { secret, ...override } = split.override ?? {};
    if (secret !== undefined) splitSecrets[name] = secret;
    splits.set(name, split.override === undefined ? split : { ...split, override });
  }
  const fieldSecrets: Record<string, unknown> = {};
  const upstreams = new Map<string, unknown>();
  for (const [name, upstream] of config.upstreams) {
    const fields = Object.entries(upstream.setHeaders ?? {});
    const secret = fields.filter(([, text]) => hasLiterals(text));
    if (secret.length > 0) fieldSecrets[name] = Object.fromEntries(secret);
    const setHeaders = Object.fromEntries(fields.map(([field, text]) => [field, withoutLiterals(text)]));
    upstreams.set(name, upstream.setHeaders === undefined ? upstream : { ...upstream, setHeaders });
  }
  const hasSecrets = Object.keys(splitSecrets).length + Object.keys(fieldSecrets).length > 0;
  const secrets = hasSecrets ? disguise(canonical({ splitSecrets, fieldSecrets })) : undefined;
  const text = canonical({ ...config, splits, upstreams, secrets });
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

let last: { readonly text: string; readonly disguised: string } | undefined;

/** All secrets at once: one guess has to be right about each of them. The last result is kept, as reloads seldom change any. */
function disguise(text: string): string {
  if (last?.text !== text) {
    last = { text, disguised: scryptSync(text, 'request-splitter', 32, SCRYPT).toString('hex') };
  }
  return last.disguised;
}

/** JSON with sorted keys: the same text for the same meaning, whatever the order in which maps were written. */
function canonical(value: unknown): string {
  if (value instanceof Map) return canonical(Object.fromEntries(value));
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isMap(value)) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonical(entry)}`).join(',')}}`;
}
