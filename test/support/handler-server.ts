// A Node server with the handler of `request-splitter/http-proxy`, for wire tests.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import {
  createHandler,
  type FaultCode,
  type HandlerConfig,
  type HandlerOptions,
} from '../../src/http-proxy.ts';
import { RawClient } from './raw-client.ts';

/** A Node server with the handler in it, the faults it reported, and the first of them as an event. */
export class HandlerServer {
  readonly port: number;
  readonly faults: FaultCode[] = [];
  readonly #faulted: (() => void)[] = [];

  readonly #http: Server;

  constructor(http: Server) {
    this.#http = http;
    this.port = (http.address() as AddressInfo).port;
  }

  static async start(config: HandlerConfig, options: HandlerOptions = {}): Promise<HandlerServer> {
    const faults: { report?: (code: FaultCode) => void } = {};
    const handler = createHandler(config, { ...options, onFault: (code) => faults.report?.(code) });
    // A client that a busy machine keeps waiting is not idle.
    const http = createServer({ keepAliveTimeout: 120_000 }, handler.request)
      .on('upgrade', handler.upgrade)
      .listen(0, '127.0.0.1');
    await once(http, 'listening');
    onTestFinished(async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
      handler.close();
    });
    const server = new HandlerServer(http);
    faults.report = (code) => {
      server.faults.push(code);
      for (const wake of server.#faulted.splice(0)) wake();
    };
    return server;
  }

  async client(): Promise<RawClient> {
    const client = await RawClient.connect(this.port);
    onTestFinished(() => client.close());
    return client;
  }

  /** Client connections that are open, those that became upgrades included. */
  connections(): Promise<number> {
    return promisify(this.#http.getConnections.bind(this.#http))();
  }

  /** Waits until a fault has been reported. */
  async fault(): Promise<FaultCode> {
    while (this.faults.length === 0) await new Promise<void>((resolve) => this.#faulted.push(resolve));
    return this.faults[0]!;
  }
}

/** A document with one upstream that takes everything. */
export const documentOf = (url: string, settings: object = {}, more: object = {}): HandlerConfig => ({
  upstreams: { u: { url, ...settings } },
  splits: { s: { variants: [{ name: 'all', share: '100%', upstream: 'u' }] } },
  ...more,
});
