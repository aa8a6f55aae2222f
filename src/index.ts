// The library: the pure decision for any Node server, in-process. Brings configuration check and splitter together;
// imports no sockets and no proxy code.

import { createRequire } from 'node:module';
import type * as z from 'zod/mini';
import { warningLines } from './config/findings.ts';
import { linkSource } from './config/link.ts';
import type { documentSchema } from './config/options/document.ts';
import { formatSlot, parseSlot } from './config/options/experiment.ts';
import { formatPath, formatProblem, type Path } from './config/problem.ts';
import { PatternEngineNeeded, usePatternEngine } from './key/pattern.ts';
import { compileSplits } from './split/own.ts';
import { LibraryView, type RequestLike } from './split/request.ts';
import type { Decision, Explanation, Variant } from './split/splitter.ts';
import { wallClock } from './wall-clock.ts';

export type { RequestLike } from './split/request.ts';
export type { Decision, Explanation, Reason, Variant } from './split/splitter.ts';

type SplitInput = NonNullable<z.input<typeof documentSchema>['splits']>[string];

/** One arm of a split: `name`, and `share` ("12.5%", or "*" for the rest) or an integer `weight`. */
export interface VariantOptions extends Omit<SplitInput['variants'][number], 'upstream'> {
  /** Handed back with each decision; not read here. The variant's own name when it is absent. */
  readonly upstream?: string | undefined;
}

/** A split as the configuration file has it under `splits.NAME`. */
export interface SplitOptions extends Omit<SplitInput, 'variants'> {
  readonly variants: readonly VariantOptions[];
  /** Variables that the key can read, as the configuration file has them under `variables`. */
  readonly variables?: z.input<typeof documentSchema>['variables'];
}

type LayersInput = NonNullable<z.input<typeof documentSchema>['layers']>;

/** What a splitter needs beside its split. */
export interface SplitterOptions {
  /** Name of the split, by which keys are enrolled: the same as in a configuration file, so that both enrol the same keys. */
  readonly name?: string | undefined;
  /** Layers by name, as the configuration file has them. The slots of other splits are not known here, so gaps are none. */
  readonly layers?: LayersInput | undefined;
  /** Serves `missingKey: random`: ratios from 0 to below 1. */
  readonly random?: (() => number) | undefined;
  /** Milliseconds since 1970, for steps of coverage and shares; the system's time unless it is given. */
  readonly clock?: (() => number) | undefined;
}

/** What `createSplitter` gives. `V` is the type of a decision's variant. */
export interface RequestSplitter<V extends Variant | null = Variant | null> {
  /** The variants in the order of the configuration. */
  readonly variants: readonly Variant[];
  /** What is probably not meant, a sentence each, as `request-splitter check` warns of it: log them once. */
  readonly warnings: readonly string[];
  /**
   * The variant for this request; `variant` is null only with `missingKey: 'reject'` and no key. With a minted key or
   * an override the decision has `extras`: send `extras.setCookie` to the client, and remove `extras.override` from a
   * request that you forward. Throws only a TypeError, for a value that is no request. Node's own HTTP parser refuses
   * targets with raw bytes over 0x7f, so after a Node server only fields can hold them.
   */
  decide(request: RequestLike): Decision & { readonly variant: V };
  /** The decision and how it was reached. It shows the key, which is often a credential: do not log it. */
  explain(request: RequestLike): Explanation & { readonly variant: V };
}

/** Null is among the variants only where requests without a key may be rejected. */
type VariantOf<C extends SplitOptions> = 'missingKey' extends keyof C
  ? 'reject' extends C['missingKey']
    ? Variant | null
    : Variant
  : Variant;

/**
 * A splitter for your own server: the same tokens to the same variants as nginx's split_clients.
 *
 *     const splitter = createSplitter({
 *       key: '$arg_token',
 *       variants: [{ name: 'a', share: '10%' }, { name: 'b', share: '*' }],
 *     });
 *     const { variant } = splitter.decide(request);
 *
 * Throws one TypeError that lists every problem of `config`. `options` may be `random` alone. A guard is a problem, as nothing
 * here counts how exchanges end.
 */
export function createSplitter<const C extends SplitOptions>(
  config: C,
  options: (() => number) | SplitterOptions = {},
): RequestSplitter<VariantOf<C>> {
  const {
    name = SPLIT,
    layers,
    random,
    clock = wallClock,
  }: SplitterOptions = typeof options === 'function' ? { random: options } : options;
  const outcome = withPatternsAtOnce(() =>
    linkSource({ document: documentOf(config, name, layers), locate }),
  );
  // Whatever JavaScript gives: null is a problem of its own.
  const isGuarded = (config as C | null | undefined)?.guard !== undefined;
  if (outcome.config === undefined || isGuarded) {
    const problems = [...(outcome.problems ?? [])];
    if (isGuarded) {
      const expected = 'nothing, because nothing here counts how exchanges end';
      problems.push({ ...locate(['splits', name, 'guard']), expected, got: 'a guard' });
    }
    const lines = problems.map((problem) => `  ${formatProblem(problem)}`);
    throw new TypeError(`createSplitter: the split cannot be used\n${lines.join('\n')}`);
  }
  const { variables, splits } = outcome.config;
  const split = splits.get(name)!;
  const variants = split.variants.map((variant, index) => ({
    ...variant,
    upstream: config.variants[index]!.upstream ?? variant.name,
  }));
  const compiled = compileSplits(
    { variables, splits: new Map([[name, { ...split, variants }]]) },
    { random, clock },
  );
  const splitter = compiled.splitters.get(name)!;
  type V = VariantOf<C>;
  return {
    get variants() {
      return splitter.variants;
    },
    warnings: warningLines(outcome.findings),
    decide: (request) => splitter.decide(new LibraryView(request)) as Decision & { variant: V },
    explain: (request) => splitter.explain(new LibraryView(request)) as Explanation & { variant: V },
  };
}

const SPLIT = 'split';

/** What `read` gives. The engine of regular expressions is loaded by the first caller that has one, and at once. */
function withPatternsAtOnce<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof PatternEngineNeeded)) throw cause;
    const { RE2JS } = createRequire(import.meta.url)('re2js') as typeof import('re2js');
    usePatternEngine(RE2JS);
    return read();
  }
}

/** Place of a problem: the path inside the split, as the caller wrote it. */
function locate(path: Path) {
  const own = path[0] === 'splits' ? path.slice(2) : path;
  return { at: formatPath(own) || 'split', path: '', order: 0 };
}

/** The document that the one declaration of all options checks. Upstreams are only labels here, so one is enough. */
function documentOf(options: SplitOptions, name: string, layers: LayersInput | undefined): unknown {
  const { variables, ...config } = (options ?? {}) as Partial<SplitOptions>;
  const own = {
    ...(variables === undefined ? {} : { variables }),
    ...(layers === undefined ? {} : { layers: withoutGaps(config, layers) }),
  };
  const { variants }: { readonly variants?: unknown } = config;
  if (!Array.isArray(variants))
    return {
      ...own,
      splits: { [name]: typeof options === 'object' && options !== null ? config : options },
    };
  const labelled = variants.map((variant: Partial<VariantOptions> | null) => {
    const upstream: unknown = variant?.upstream ?? 'absent';
    const label =
      typeof variant === 'object' && variant !== null && typeof upstream === 'string' && upstream !== '';
    return label ? { ...variant, upstream: 'http://localhost' } : variant;
  });
  return { ...own, splits: { [name]: { ...config, variants: labelled } } };
}

/** The only layer that counts is that of the split, and what it has beside the slot belongs to splits elsewhere. */
function withoutGaps({ layer, slot }: Partial<SplitOptions>, layers: LayersInput): unknown {
  const own = layer === undefined ? undefined : layers[layer];
  const part = typeof slot === 'string' ? parseSlot(slot) : undefined;
  if (layer === undefined || own === undefined) return {};
  if (part === undefined || part.from <= 0 || part.from > 10_000) return { [layer]: own };
  return { [layer]: { ...own, free: [formatSlot({ from: 0, to: part.from })] } };
}
