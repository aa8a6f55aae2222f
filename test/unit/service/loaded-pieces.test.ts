// A configuration that is taken apart for its way out of a thread is the same when it has been put together again.
import { expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { joinPieces, type LoadedPiece, piecesOf } from '../../../src/service/loaded-pieces.ts';
import { atOnce } from '../../../src/turns.ts';

const load = (text: string) =>
  loadConfig({ flags: { config: '/s.yaml' }, environment: {} }, { texts: new Map([['/s.yaml', text]]) });
const variants = Array.from({ length: 600 }, (_, at) => `{ name: v${at}, weight: 1, upstream: u${at} }`);
const upstreams = variants.map((_, at) => `  u${at}: { url: "http://u${at}" }\n`);
const routes = Array.from(
  { length: 1000 },
  (_, at) => `  - { path: /p${at}, split: ${at % 2 ? 's' : 't'} }\n`,
);
const TEXT = `upstreams:
${upstreams.join('')}splits:
  s: { key: $arg_user, variants: [${variants.join(', ')}], missingKey: first }
  t: { variants: [{ name: a, share: "*", upstream: u0 }] }
routes:
${routes.join('')}`;

it('a large configuration goes in pieces of a few hundred entries, and becomes what it was', async () => {
  const loaded = await load(TEXT);
  expect(loaded.problems).toBeUndefined();
  const pieces = [...piecesOf(loaded)].map((piece) => structuredClone(piece));
  for (const piece of pieces) if ('list' in piece) expect(piece.list.length).toBeLessThanOrEqual(256);
  let taken = 0;
  const joined = atOnce(joinPieces(() => pieces[taken++]));
  expect(joined).toEqual(loaded);
  expect(Object.keys(joined.config!)).toEqual(Object.keys(loaded.config!));
  expect([...joined.config!.splits.keys()]).toEqual(['s', 't']);
});

it('what was refused goes in one piece', async () => {
  const loaded = await load('routes: 5');
  const pieces = [...piecesOf(loaded)];
  expect(pieces).toEqual([{ part: 'loaded', loaded }]);
  expect(atOnce(joinPieces(() => pieces.shift()))).toBe(loaded);
});

it('pieces out of order are a broken invariant', () => {
  const routesOnly: LoadedPiece[] = [{ part: 'routes', list: [] }];
  expect(() => atOnce(joinPieces(() => routesOnly.shift()))).toThrow('without its first piece');
});
