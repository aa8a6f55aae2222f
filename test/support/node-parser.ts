// What Node's own HTTP parser (llhttp) reads in a stream of request bytes: the second opinion of the property tests
// and of the fuzzer. The bytes go into an http.Server through a Duplex; no socket is opened.
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { Duplex } from 'node:stream';

/** One request as llhttp understood it. `body` is decoded; `isWhole` tells that its end was read. */
export interface NodeReading {
  readonly method: string;
  readonly target: string;
  readonly minorVersion: number;
  /** Names and values in order, one byte a character. */
  readonly fields: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
  readonly isWhole: boolean;
}

/** All requests that llhttp found, and the code of the error that ended it, or null. */
export interface NodeReadings {
  readonly requests: readonly NodeReading[];
  readonly error: string | null;
}

/** A socket that plays received bytes to the server and throws away what it answers. */
class Playback extends Duplex {
  readonly #pieces: Buffer[];
  constructor(pieces: readonly Buffer[]) {
    super();
    this.#pieces = [...pieces];
  }
  override _read(): void {
    this.push(this.#pieces.shift() ?? null);
  }
  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
  }
  // What http.Server expects of a socket.
  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
}

/** Reads the pieces as one connection's bytes, as Node's server reads them by default: strictly. */
export function readWithNode(pieces: readonly Buffer[]): Promise<NodeReadings> {
  return new Promise((resolve) => {
    const requests: (NodeReading & { body: string; isWhole: boolean; trailers: readonly string[] })[] = [];
    let error: string | null = null;
    // The limits are above ours and Host is our own rule: what is left is grammar and framing.
    const server: Server = createServer({
      maxHeaderSize: 131_072,
      requireHostHeader: false,
      insecureHTTPParser: false,
      requestTimeout: 0,
      headersTimeout: 0,
      keepAliveTimeout: 0,
      connectionsCheckingInterval: 2 ** 31 - 1,
    });
    server.maxHeadersCount = 0;
    const receive = (request: IncomingMessage) => {
      const reading = {
        method: request.method ?? '',
        target: request.url ?? '',
        minorVersion: request.httpVersionMinor,
        fields: request.rawHeaders,
        body: '',
        trailers: [] as readonly string[],
        isWhole: false,
      };
      requests.push(reading);
      request.on('data', (data: Buffer) => {
        reading.body += data.toString('latin1');
      });
      request.on('end', () => {
        reading.isWhole = request.complete;
        reading.trailers = request.rawTrailers;
      });
      request.on('error', () => undefined); // cut short: `isWhole` stays false, which is the finding
    };
    for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, receive);
    server.on('clientError', (cause: NodeJS.ErrnoException) => {
      error ??= cause.code ?? cause.message;
    });
    const playback = new Playback(pieces);
    playback.on('error', () => undefined); // destroyed below while answers are pending
    playback.on('end', () => {
      // A turn later everything that was parsed has also been handed to the request streams.
      setImmediate(() => {
        playback.destroy();
        server.close();
        resolve({ requests, error });
      });
    });
    playback.on('close', () => resolve({ requests, error }));
    server.emit('connection', playback);
  });
}
