// Looking at what a cluster shows, until it is what a test expects. Each look is a connection of its own with a limit:
// a kept one would hang on a pod that has meanwhile gone.
import { Agent, request } from 'undici';

const agent = new Agent({
  pipelining: 0,
  connect: { timeout: 2000 },
  headersTimeout: 5000,
  bodyTimeout: 5000,
});

/** The body of a GET; rejects where there is none. */
export async function textOf(url: string): Promise<string> {
  const { body } = await request(url, { dispatcher: agent });
  return body.text();
}

/** Looks again until it is right; a look that rejects is not. Fails after the limit with what was seen last. */
export async function eventually<T>(
  look: () => Promise<T>,
  isRight: (seen: T) => boolean,
  limitMs = 30_000,
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    let last: unknown;
    try {
      const seen = await look();
      if (isRight(seen)) return seen;
      last = typeof seen === 'string' ? seen.slice(-2000) : JSON.stringify(seen).slice(0, 2000);
    } catch (cause) {
      last = cause;
    }
    if (performance.now() > end) throw new Error(`still not after ${limitMs} ms: ${String(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
