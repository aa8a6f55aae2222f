// Guesses which known word was meant by one that is not known, for the end of a message. Counts slips of the pen:
// a character too many, missing, wrong, or swapped with its neighbour (Damerau-Levenshtein without repeated swaps).

/** Most candidates that a word is compared with: a guess helps, but is not worth a wait. */
const CANDIDATES_MAX = 2000;
/** Longer words are compared for equality alone. */
const LENGTH_MAX = 64;

/** The candidate closest to `word` in any case, at most `distanceMax` slips away; undefined when none is that close. */
export function nearest(
  word: string,
  candidates: Iterable<string>,
  distanceMax: number = Math.max(1, Math.floor(word.length / 3)),
): string | undefined {
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let bestDistance = distanceMax + 1;
  let compared = 0;
  for (const candidate of candidates) {
    // Each character of difference in length is at least one slip.
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
    if (++compared > CANDIDATES_MAX) break;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` (did you mean "x"?)` for the nearest candidate; empty without one. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const guess = nearest(word, candidates);
  return guess === undefined ? '' : ` (did you mean ${JSON.stringify(guess)}?)`;
}

function editDistance(a: string, b: string): number {
  if (a.length > LENGTH_MAX || b.length > LENGTH_MAX) return a === b ? 0 : LENGTH_MAX;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(last[column - 1]! + (same ? 0 : 1), last[column]! + 1, current[column - 1]! + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, beforeLast[column - 2]! + 1);
      }
      current.push(cost);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length]!;
}
