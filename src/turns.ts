// Does long work in several turns of the event loop, so that requests in the data plane never wait for it. The work is a
// generator that pauses where it may be interrupted.

/** Longest time that one turn holds the event loop, but for the end of its last piece. */
const TURN_MS = 2;

/** Small steps that are done before a generator may pause. */
export const STEPS_A_PIECE = 64;

/** Work that may be interrupted at each `yield`. */
export type WorkInPieces<T> = Generator<undefined, T, undefined>;

/** Does all of it in this turn; the result of the generator. */
export function atOnce<T>(pieces: WorkInPieces<T>): T {
  for (;;) {
    const { done, value } = pieces.next();
    if (done === true) return value;
  }
}

/** Begins at once; the result of the generator. */
export async function inTurns<T>(pieces: Iterator<undefined, T, undefined>): Promise<T> {
  for (;;) {
    const startedAt = performance.now();
    do {
      const { done, value } = pieces.next();
      if (done === true) return value;
    } while (performance.now() - startedAt < TURN_MS);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
