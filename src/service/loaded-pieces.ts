// A configuration on its way from the thread that has read it: in pieces, as one message would be copied into this thread in one
// turn of the event loop, for tens of milliseconds if it is large.

import type { Loaded } from '../config/load.ts';
import type { Config } from '../config/options/document.ts';
import type { RouteConfig } from '../config/options/route.ts';
import type { SplitConfig } from '../config/options/split.ts';
import type { UpstreamConfig } from '../config/options/upstream.ts';
import type { WorkInPieces } from '../turns.ts';

/** Entries of a list in one piece: each is an object of some members. */
const ENTRIES_A_PIECE = 256;

/** A part of a result; the first one has all but the long lists, which are empty there. */
export type LoadedPiece =
  | { readonly part: 'loaded'; readonly loaded: Loaded }
  | { readonly part: 'routes'; readonly list: readonly RouteConfig[] }
  | { readonly part: 'upstreams'; readonly list: readonly (readonly [string, UpstreamConfig])[] }
  | { readonly part: 'splits'; readonly list: readonly (readonly [string, SplitConfig])[] }
  | {
      readonly part: 'variants';
      readonly split: string;
      readonly list: readonly SplitConfig['variants'][number][];
    };

/** Takes a result apart. */
export function* piecesOf(loaded: Loaded): Generator<LoadedPiece, void, undefined> {
  if (loaded.config === undefined) {
    yield { part: 'loaded', loaded };
    return;
  }
  const { routes, upstreams, splits } = loaded.config;
  const config = { ...loaded.config, routes: [], upstreams: new Map(), splits: new Map() };
  yield { part: 'loaded', loaded: { ...loaded, config } };
  for (const list of slicesOfList(routes)) yield { part: 'routes', list };
  for (const list of slicesOfList([...upstreams])) yield { part: 'upstreams', list };
  const heads = Array.from(splits, ([name, split]): [string, SplitConfig] => [
    name,
    { ...split, variants: [] },
  ]);
  for (const list of slicesOfList(heads)) yield { part: 'splits', list };
  for (const [split, { variants }] of splits)
    for (const list of slicesOfList(variants)) yield { part: 'variants', split, list };
}

function* slicesOfList<T>(list: readonly T[]): Generator<readonly T[], void, undefined> {
  for (let at = 0; at < list.length; at += ENTRIES_A_PIECE) yield list.slice(at, at + ENTRIES_A_PIECE);
}

/** Puts a result together again, piece by piece. `next` gives the next piece; undefined after the last one. */
export function* joinPieces(next: () => LoadedPiece | undefined): WorkInPieces<Loaded> {
  const first = next();
  if (first?.part !== 'loaded') throw new Error('broken invariant: a result without its first piece');
  const { loaded } = first;
  if (loaded.config === undefined) return loaded;
  const routes: RouteConfig[] = [];
  const upstreams = new Map<string, UpstreamConfig>();
  const splits = new Map<string, SplitConfig>();
  const variants = new Map<string, SplitConfig['variants'][number][]>();
  for (let piece = next(); piece !== undefined; piece = next()) {
    switch (piece.part) {
      case 'routes':
        routes.push(...piece.list);
        break;
      case 'upstreams':
        for (const [name, upstream] of piece.list) upstreams.set(name, upstream);
        break;
      case 'splits':
        for (const [name, split] of piece.list) {
          const list: SplitConfig['variants'][number][] = [];
          variants.set(name, list);
          splits.set(name, { ...split, variants: list });
        }
        break;
      case 'variants':
        variants.get(piece.split)!.push(...piece.list);
        break;
      default:
        throw new Error('broken invariant: a result with two first pieces');
    }
    yield;
  }
  const config: Config = { ...loaded.config, routes, upstreams, splits };
  return { ...loaded, config };
}
