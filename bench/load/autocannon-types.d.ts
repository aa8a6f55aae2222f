// The part of autocannon that the bench uses; the package has no types.
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events';

  interface Request {
    method?: string;
    path?: string;
    headers?: Readonly<Record<string, string>>;
    body?: string | undefined;
  }
  /** Emits 'request' just before it writes one and 'headers' when the head of an answer is complete. */
  export interface Client extends EventEmitter {
    setRequests(requests: Request[]): void;
  }
  interface Options {
    url: string;
    connections: number;
    duration: number;
    timeout?: number;
    sampleInt?: number;
    reconnectRate?: number;
    setupClient(client: Client): void;
  }
  interface Result {
    duration: number;
    errors: number;
    non2xx: number;
    '2xx': number;
    throughput: { total: number };
  }
  interface Run extends Promise<Result>, EventEmitter {}
  export default function autocannon(options: Options): Run;
}
