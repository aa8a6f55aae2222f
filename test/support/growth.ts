// How the cost of some work grows with its size, in processor time of this process, so that neither a slow machine nor a
// busy one changes the answer.

/** What a growth with the size stays below, and one with the square of the size does not. */
export const LINEAR_MAX = 24;

const ROUNDS_MAX = 6;

/**
 * Processor time of `work(8 * size)` in multiples of that of `work(size)`: about 8 where it grows with the size, about 64
 * where with its square. The least time of some rounds counts: the others ran beside something else, or were not
 * compiled yet.
 */
export function growth(work: (size: number) => void, size: number): number {
  let [small, large] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  work(size);
  for (let round = 0; round < ROUNDS_MAX && !(large / small < LINEAR_MAX); round++) {
    // The quickest of a few short runs beside one long run, which has as long for its quickest part.
    for (let i = 0; i < 3; i++)
      small = Math.min(
        small,
        cpuMs(() => work(size)),
      );
    large = Math.min(
      large,
      cpuMs(() => work(8 * size)),
    );
  }
  return large / small;
}

function cpuMs(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
