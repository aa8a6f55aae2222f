// A port of the loopback on which nothing listens, for what takes a number: a program to be started, an upstream that
// refuses. It lies below the ports that the kernel hands out, so that no other test gets it meanwhile by listening on 0, and
// each worker of vitest has ports of its own, which it gives out one after the other: two tests do not get the same one.
import { once } from 'node:events';
import { createServer } from 'node:net';

const FIRST = 10_000;
/** Linux hands out 32,768 and above (ip_local_port_range). */
const COUNT = 22_000;
const WORKERS = 16;
const OWN_COUNT = COUNT / WORKERS;

const ownFirst = FIRST + (Number(process.env.VITEST_POOL_ID ?? 0) % WORKERS) * OWN_COUNT;
// Another run of the tests, beside this one, begins elsewhere.
let next = Math.floor(Math.random() * OWN_COUNT);

/** Tries one after the other until one is free. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = ownFirst + (next++ % OWN_COUNT);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}
