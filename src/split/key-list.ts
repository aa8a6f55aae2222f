// Where the key of a split is found: its key texts in order, the cookies in which keys are remembered, and the cookie of a
// minted key after them. Makes random keys and cookies that hold keys; does not decide which variant a key belongs to.
// Source: RFC 6265 §4.1 for Set-Cookie; RFC 4648 §5 for base64url.

import { randomBytes } from 'node:crypto';
import type { RequestView } from '../bytes.ts';
import type { KeyConfig, MintConfig, RememberConfig, SplitConfig } from '../config/options/split.ts';
import { type CompiledKey, compileKey } from '../key/compile.ts';
import { variablesOf, writeVariable } from '../key/key-text.ts';
import { REQUEST_SCOPE, type TextScope } from '../key/own-variables.ts';
import { pageKeys } from '../key/page-key.ts';
import { variablesOfWhen } from './targeting.ts';

/** 128 bits: of a billion clients no two will have the same key. */
const MINTED_BYTES = 16;

/** A fresh key: 22 characters that need no quotes in a cookie. */
export function makeRandomKey(): string {
  return randomBytes(MINTED_BYTES).toString('base64url');
}

/** The key texts of a split in the order in which they are asked; a key in a cookie of ours is read back as that cookie. */
export function keyTexts(key: KeyConfig): string[] {
  return listOf(key).flatMap((entry) => {
    if (typeof entry === 'string') return [entry];
    return 'mint' in entry ? [cookieText(entry)] : [entry.remember, cookieText(entry)];
  });
}

/** For each of `keyTexts` what remembers its key; null for those whose key is not remembered, or is in that cookie already. */
export function remembersOf(key: KeyConfig): (RememberConfig | null)[] {
  return listOf(key).flatMap((entry) =>
    typeof entry === 'object' && 'remember' in entry ? [entry, null] : [null],
  );
}

/** The keys of a split in one line, for people: "$arg_token, else a minted $cookie_uid". */
export function describeKey(key: KeyConfig): string {
  return listOf(key)
    .map((entry) => {
      if (typeof entry === 'string') return entry;
      if ('mint' in entry) return `a minted ${cookieText(entry)}`;
      return `${entry.remember}, else remembered in ${cookieText(entry)}`;
    })
    .join(', else ');
}

/**
 * Names of the request fields that the keys are read from, for Vary; "*" where the client's address is one of them, as no
 * field says that. A cache distinguishes requests by their request line and Host anyway.
 */
export function fieldsOf(key: KeyConfig): string[] {
  const names = keyTexts(key).flatMap((text) => variablesOf(text).map(({ name }) => name));
  return names.flatMap((name) => {
    if (name === 'remote_addr') return ['*'];
    if (name.startsWith('jwt_')) return ['Authorization', 'Cookie'];
    if (name.startsWith('cookie_') || name === 'http_cookie') return ['Cookie'];
    return name.startsWith('http_') && name !== 'http_host' ? [name.slice(5).replaceAll('_', '-')] : [];
  });
}

/** The compiled key texts; throws on a broken invariant, as the configuration was validated before. */
export function compileKeys(split: string, key: KeyConfig, scope: TextScope = REQUEST_SCOPE): CompiledKey[] {
  return keyTexts(key).map((text) => {
    const compiled = compileKey(text, scope);
    if ('error' in compiled) throw new Error(`broken invariant: the key text of ${split}: ${compiled.error}`);
    return compiled;
  });
}

/** The minted key at the end of the list; null without one. */
export function mintOf(key: KeyConfig): MintConfig | null {
  const last = listOf(key).at(-1);
  return typeof last === 'object' && 'mint' in last ? last : null;
}

/**
 * The text of a cookie that comes back unchanged (cookie-octet, RFC 6265 §4.1.1). Anything else, a ";" first of
 * all, would let a link choose attributes of the cookie.
 */
const COOKIE_VALUE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+$/;
/** Browsers keep no cookie over 4096 bytes with its name and attributes. */
const REMEMBERED_BYTES_MAX = 2048;

/** True for a key that a cookie can hold. */
export function canBeRemembered(key: string): boolean {
  return key.length <= REMEMBERED_BYTES_MAX && COOKIE_VALUE.test(key);
}

/** Browsers keep a cookie of such a name only when it says Secure. */
const SECURE_NAME = /^__(?:Host|Secure)-/i;

/**
 * Value of the Set-Cookie field that gives `key` to the client. Secure where the configuration says so, or where the
 * hop before says that the client came by https: a client that lies there spoils its own cookie only.
 */
export function cookieFor(
  { cookie, path, maxAge: maxAgeMs, secure }: MintConfig | RememberConfig,
  key: string,
  view: RequestView,
): string {
  const isSecure =
    secure === 'always' || SECURE_NAME.test(cookie) || (secure === 'auto' && cameByHttps(view));
  const attributes = `Path=${path}; Max-Age=${Math.floor(maxAgeMs / 1000)}; HttpOnly; SameSite=Lax`;
  return `${cookie}=${key}; ${attributes}${isSecure ? '; Secure' : ''}`;
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

function cookieText({ cookie }: MintConfig | RememberConfig): string {
  return writeVariable(`cookie_${cookie}`);
}

/** A key for people: printable ASCII as it is, every other byte and the backslash as \xHH. */
export function printableKey(key: Uint8Array): string {
  let text = '';
  for (const byte of key) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return text;
}

/** Names of all request fields that a decision reads, for Vary; "*" alone where no field says it. */
export function fieldsReadBy(
  { key, override, when }: SplitConfig,
  keys: readonly CompiledKey[],
  readTexts: readonly string[],
): string[] {
  const fields = [...fieldsOf(key), ...readTexts.flatMap(fieldsOf)];
  if (override?.header !== undefined) fields.push(override.header);
  if (override?.cookie !== undefined) fields.push('Cookie');
  if (mintOf(key) !== null && pageKeys(keys).length > 0) fields.push('Referer');
  if (when !== undefined) fields.push(...variablesOfWhen(when).flatMap(fieldsOf));
  return fields.includes('*') ? ['*'] : [...new Set(fields)];
}
