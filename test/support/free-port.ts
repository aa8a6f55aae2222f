// A port of the loopback on which nothing listens, for what takes a number: a program to be started, an upstream that
// refuses. It lies below the ports that the kernel hands out, so that no other test gets it meanwhile by listening on 0.
import { once } from 'node:events';
import { createServer } from 'node:net';

const FIRST = 10_000;
/** Linux hands out 32,768 and above (ip_local_port_range). */
const COUNT = 22_000;

/** Tries one at random until it is free. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * COUNT);
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
