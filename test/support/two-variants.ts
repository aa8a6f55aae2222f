// A running splitter with the variants "a" (every key) and "b" (parked, 0 %), each with an upstream, and a client. The
// requests of the upstreams show which variant was chosen.
import type { AmbassadorOptions } from '../../src/ambassador.ts';
import type { VariantCounters } from '../../src/telemetry/counters.ts';
import type { Script } from './scripted-upstream.ts';
import { type Document, startSplitter, startUpstream } from './splitter.ts';

/** `split` goes over the split's own options, `more` over the document. */
export async function startTwoVariants(
  split: Document,
  more: Document = {},
  options: Partial<AmbassadorOptions> & { readonly script?: Script } = {},
) {
  const { script, ...rest } = options;
  const [a, b] = [await startUpstream(script), await startUpstream(script)];
  const variants = [
    { name: 'b', share: '0%', upstream: b.url },
    { name: 'a', share: '*', upstream: a.url },
  ];
  const document = { forwarded: 'remove', splits: { s: { variants, ...split } }, ...more };
  const splitter = await startSplitter(document, rest);
  const { counters, generation } = splitter.ambassador;
  const counted = (name: string): VariantCounters => {
    const { upstream } = generation.splitters.get('s')!.variants.find((variant) => variant.name === name)!;
    return counters.variant('s', name, upstream);
  };
  return {
    a,
    b,
    splitter,
    client: await splitter.client(),
    counted,
    sample: () => [...counters.samples()][0]!,
  };
}
