// Where the key of a split is found: its key texts in order, and the cookie of a minted key behind them. Makes random
// keys and the cookies that hold them; which variant a key belongs to is not its question.
// Source: RFC 6265 §4.1 for Set-Cookie; RFC 4648 §5 for base64url.

import { randomBytes } from 'node:crypto';
import type { KeyConfig, MintConfig } from '../config/schema.ts';
import { variablesOf, writeVariable } from '../key-text.ts';
import { type CompiledKey, compileKey, type RequestView } from './key.ts';

/** 128 bits: of a billion clients no two will have the same key. */
const MINTED_BYTES = 16;

/** A fresh key: 22 characters that need no quotes in a cookie. */
export function makeRandomKey(): string {
  return randomBytes(MINTED_BYTES).toString('base64url');
}

/** The key texts of a split in the order in which they are asked; a minted key is read back as that of its cookie. */
export function keyTexts(key: KeyConfig): string[] {
  return listOf(key).map((entry) => (typeof entry === 'string' ? entry : textOf(entry)));
}

/** The keys of a split in one line, for people: "$arg_token, else a minted $cookie_uid". */
export function describeKey(key: KeyConfig): string {
  return listOf(key)
    .map((entry) => (typeof entry === 'string' ? entry : `a minted ${textOf(entry)}`))
    .join(', else ');
}

/**
 * Names of the request fields that the keys are read from, for Vary; "*" where the client's address is one of them, as no
 * field says that. What stands in the request line and Host is what a cache goes by anyway.
 */
export function fieldsOf(key: KeyConfig): string[] {
  const names = keyTexts(key).flatMap((text) => variablesOf(text).map(({ name }) => name));
  return names.flatMap((name) => {
    if (name === 'remote_addr') return ['*'];
    if (name.startsWith('cookie_') || name === 'http_cookie') return ['Cookie'];
    return name.startsWith('http_') && name !== 'http_host' ? [name.slice(5).replaceAll('_', '-')] : [];
  });
}

/** The compiled key texts; throws on a broken invariant, as the configuration was validated before. */
export function compileKeys(split: string, key: KeyConfig): CompiledKey[] {
  return keyTexts(key).map((text) => {
    const compiled = compileKey(text);
    if ('error' in compiled) throw new Error(`broken invariant: the key text of ${split}: ${compiled.error}`);
    return compiled;
  });
}

/** The minted key at the end of the list; null without one. */
export function mintOf(key: KeyConfig): MintConfig | null {
  const last = listOf(key).at(-1);
  return typeof last === 'object' ? last : null;
}

/**
 * Value of the Set-Cookie field that gives `minted` to the client. Secure where the configuration says so, or where the
 * hop before says that the client came by https: a client that lies there spoils its own cookie only.
 */
export function cookieFor(
  { cookie, path, maxAge, secure }: MintConfig,
  minted: string,
  view: RequestView,
): string {
  const isSecure = secure === 'always' || (secure === 'auto' && cameByHttps(view));
  const attributes = `Path=${path}; Max-Age=${Math.floor(maxAge / 1000)}; HttpOnly; SameSite=Lax`;
  return `${cookie}=${minted}; ${attributes}${isSecure ? '; Secure' : ''}`;
}

/** X-Forwarded-Proto of several hops is a list, the client's own first. */
function cameByHttps(view: RequestView): boolean {
  if (view.isEncrypted === true) return true;
  const [value] = view.fieldValues('x-forwarded-proto');
  return value !== undefined && /^https(?:[\s,]|$)/i.test(Buffer.from(value).toString('latin1'));
}

function listOf(key: KeyConfig): Exclude<KeyConfig, string> {
  return typeof key === 'string' ? [key] : key;
}

function textOf({ cookie }: MintConfig): string {
  return writeVariable(`cookie_${cookie}`);
}
