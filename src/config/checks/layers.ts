// Checks that the splits of each layer have slots that neither overlap nor leave a gap that was not meant. Each problem
// names both places.

import { byKey } from '../by-key.ts';
import type { CheckReport, Written } from '../findings.ts';
import { formatSlot, type Slot } from '../options/experiment.ts';
import type { Path } from '../problem.ts';

const WHOLE = 10_000;

interface Part extends Slot {
  /** "slot of split a", "free part". */
  readonly what: string;
  readonly path: Path;
}

/** The slots of all layers. */
export function checkLayers({ document, raw }: Written, report: CheckReport): void {
  const { layers = {}, splits } = document;
  const members = byKey(Object.entries(splits), ([, { layer }]) => layer);
  for (const [layer, { free = [] }] of Object.entries(layers)) {
    const own = members.get(layer) ?? [];
    if (own.length === 0) report.warn(['layers', layer], 'is not used: no split names this layer');
    const isList = Array.isArray((raw.layers as Record<string, { free?: unknown }>)[layer]?.free);
    const parts: Part[] = [
      ...own.flatMap(([name, { slot }]) =>
        slot === undefined
          ? []
          : [{ ...slot, what: `the slot of split ${name}`, path: ['splits', name, 'slot'] }],
      ),
      ...free.map((part, index) => ({
        ...part,
        what: 'a free part',
        path: ['layers', layer, 'free', ...(isList ? [index] : [])],
      })),
    ];
    const isSound = parts.map((part) => checkPart(part, layer, report)).every(Boolean);
    if (isSound && own.length > 0) checkOrder(layer, parts.toSorted(byStart), report);
  }
}

function byStart(a: Part, b: Part): number {
  return a.from - b.from || a.to - b.to;
}

function checkPart(part: Part, layer: string, report: CheckReport): boolean {
  const got = formatSlot(part);
  if (part.to > WHOLE || part.from > WHOLE) {
    const place = report.placeOf(['layers', layer]);
    report.problem(part.path, `a part of 0%-100% of layer ${layer} (${place})`, got);
  } else if (part.from >= part.to) report.problem(part.path, 'a slot that ends after its start', got);
  else return true;
  return false;
}

function checkOrder(layer: string, parts: readonly Part[], report: CheckReport): void {
  let end = 0;
  let last: Part | null = null;
  for (const part of parts) {
    const before = last === null ? `the start of layer ${layer}` : `${last.what}, ${formatSlot(last)}`;
    const place = report.placeOf(last?.path ?? ['layers', layer]);
    if (part.from < end) {
      report.problem(part.path, `no overlap with ${before} (${place})`, formatSlot(part));
    } else if (part.from > end) {
      const gap = formatSlot({ from: end, to: part.from });
      const expected = `no gap after ${before} (${place}), or ${gap} as free in the layer`;
      report.problem(part.path, expected, formatSlot(part));
    }
    if (part.to >= end) {
      end = part.to;
      last = part;
    }
  }
  if (end < WHOLE && last !== null) {
    report.note(['layers', layer], `has ${formatSlot({ from: end, to: WHOLE })} left for more splits`);
  }
}
