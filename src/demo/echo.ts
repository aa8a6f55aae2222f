// An upstream for trying things out: answers every request as hashicorp/http-echo 1.0 does, so that the demo and the
// Kubernetes examples say the same. Knows nothing of the splitter. Source: github.com/hashicorp/http-echo, main.go.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const APP_FIELDS = { 'X-App-Name': 'http-echo', 'X-App-Version': '1.0.0' } as const;
const HEALTHY = '{"status":"ok"}\n';

/** A listening echo. */
export interface Echo {
  /** "http://127.0.0.1:34567" */
  readonly url: string;
  /** Ends at once, connections too. */
  close(): Promise<void>;
}

/**
 * Answers any method on any path with `text` and a line end, and /health with `{"status":"ok"}`. Listens on a free port
 * of 127.0.0.1.
 */
export async function startEcho(text: string): Promise<Echo> {
  const echoed = `${text}\n`;
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    const body = path === '/health' ? HEALTHY : echoed;
    // Go's net/http finds the type of both bodies by looking at them: plain text.
    response.writeHead(200, {
      ...APP_FIELDS,
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
    request.resume();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
