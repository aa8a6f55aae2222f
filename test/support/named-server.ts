// A server on a loopback address that answers with its name, counts requests, and can fail on request. For
// tests of several addresses, probes and TLS; if every byte matters, use the scripted upstream.
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions, type Server as TlsServer } from 'node:https';
import { onTestFinished } from 'vitest';

export class NamedServer {
  readonly name: string;
  /** Requests that were answered, by path. */
  readonly asked: string[] = [];
  /** How requests are answered; by default with the name. */
  answer: RequestListener;
  readonly #server: Server | TlsServer;
  #waiters: (() => void)[] = [];

  private constructor(name: string, server: Server | TlsServer) {
    this.name = name;
    this.#server = server;
    this.answer = (_, response) => void response.end(name);
    server.on('request', (request, response) => {
      this.asked.push(request.url ?? '');
      this.answer(request, response);
      for (const wake of this.#waiters.splice(0)) wake();
    });
  }

  /** Listens on `host`, on a free port unless one is given, with TLS where `tls` is given; closed when the test ends. */
  static async listen(name: string, host = '127.0.0.1', port = 0, tls?: ServerOptions): Promise<NamedServer> {
    const server = tls === undefined ? createServer() : createTlsServer(tls);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    const named = new NamedServer(name, server);
    onTestFinished(() => named.close());
    return named;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not on a port');
    return address.port;
  }

  /** Waits until `isTrue`, asked after each request. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed; // also of a server that was closed before: the error of close() is no failure
  }
}
