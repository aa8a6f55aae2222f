// The library runs on Node 20: what later versions brought is taken away from a process that then uses the library.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

/** Built-in functions that Node 20.19 does not have. */
const LATER = `
  for (const [owner, names] of [
    [Map, ['groupBy']],
    [Object, ['groupBy']],
    [Array, ['fromAsync']],
    [Promise, ['withResolvers', 'try']],
    [RegExp, ['escape']],
    [Map.prototype, ['getOrInsert', 'getOrInsertComputed']],
    [Uint8Array, ['fromBase64', 'fromHex']],
    [Uint8Array.prototype, ['toBase64', 'toHex', 'setFromBase64', 'setFromHex']],
    [Set.prototype, ['union', 'intersection', 'difference', 'symmetricDifference', 'isSubsetOf', 'isSupersetOf', 'isDisjointFrom']],
    [Iterator.prototype, ['map', 'filter', 'take', 'drop', 'flatMap', 'reduce', 'toArray', 'forEach', 'some', 'every', 'find']],
  ]) for (const name of names) delete owner[name];
  delete globalThis.Iterator;
  delete Error.isError;
`;

const USE = `
  const { createSplitter } = await import(process.argv[1]);
  await import(process.argv[2]);
  const variants = [
    { name: 'a', share: '50%', upstream: 'http://a' },
    { name: 'b', share: '*', upstream: 'http://b' },
  ];
  const key = [{ remember: '$arg_token' }, '$http_x_user', { mint: 'uid' }];
  const splitter = createSplitter({ key, variants, override: { query: 'v', variants: ['a'] } });
  const seen = ['/?token=42', '/', '/?v=a'].map((url) => splitter.decide({ url, headers: {} }).reason);
  let refused = '';
  try {
    createSplitter({ keys: '$arg_token', timeout: '1s', variants: [{ name: 'a', share: 50 }] });
  } catch (cause) {
    refused = cause.message;
  }
  console.log(JSON.stringify({ seen, refused }));
`;

it('the library does without what Node 20 does not have', () => {
  const path = (name: string) => fileURLToPath(new URL(`../../src/${name}`, import.meta.url));
  const script = ['--input-type=module', '-e', LATER + USE, path('index.ts'), path('http-proxy.ts')];
  const told = JSON.parse(execFileSync(process.execPath, script, { encoding: 'utf8' }));
  expect(told.seen).toEqual(['share', 'share', 'override']);
  expect(told.refused).toContain('the split cannot be used');
});
