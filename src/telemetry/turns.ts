// Does long work in several turns of the event loop, so that requests in the data plane never wait for it. The work is a
// generator that pauses where it may be interrupted.

/** Longest time that one turn holds the event loop, but for the end of its last piece. */
const TURN_MS = 2;

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
