// TLS towards the clients of one listening address: from an accepted TCP socket to a TLS socket whose handshake is over,
// within limits of number and time. A client that speaks plain text, or lacks the certificate that it needs, is answered
// in its own language by the host. Sources: RFC 8446; nginx's ngx_http_ssl_handshake_handler, ngx_http_process_request.

import type { Socket } from 'node:net';
import { createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls';
import type { Config } from '../config/options/document.ts';
import type { ListenTls } from '../config/options/listen.ts';
import { type Cause, causeOf, type FaultCode } from '../errors.ts';
import type { DownstreamCounters } from '../telemetry/counters.ts';
import type { HandshakeFailure } from '../telemetry/counts.ts';
import type { CertificateView } from '../telemetry/running.ts';
import type { Deadlines, Timed } from '../transport/deadlines.ts';
import { carrierOf } from '../transport/socket-handle.ts';
import { Certificates, type Renewal } from './certificates.ts';
import { HANDSHAKE_RECORD } from './client-hello.ts';
import { TlsClient } from './tls-client.ts';

/** A client that has sent nothing for this long makes room for a new one when there are too many handshakes. */
const SILENT_MS = 1000;
/** The same for one that has begun: so much of its time. In between it may wait for a busy processor, not the processor for it. */
const BEGUN_RATIO = 1 / 2;
/** The bit of a first byte of SSL 2; whatever is neither that nor a record with a handshake is plain text. */
const SSL2_BIT = 0x80;
/** The only protocol that is spoken here: a client that offers others alone gets an alert. */
const PROTOCOLS = ['http/1.1'];

/** What a port asks of the listener that owns it. */
export interface TlsHost {
  readonly deadlines: Deadlines;
  readonly counters: DownstreamCounters;
  readonly generation: { readonly config: Pick<Config, 'limits' | 'timeouts'> };
  /** The handshake is over: requests may come. */
  secured(socket: TLSSocket, client: TlsClient, handshake: Handshake, listenedOn: string): void;
  /** Answers once and closes. `socket` is the client's as it is now. */
  turnAway(socket: Socket, code: FaultCode, cause: Cause): void;
  /** No connection has come of it. */
  handshakeEnded(): void;
  /** For the log. */
  handshakeFailed(client: string, reason: HandshakeFailure, cause: string): void;
}

/** One client from its accept to the end of its handshake. */
export class Handshake implements Timed {
  deadline = Number.POSITIVE_INFINITY;
  readonly carrier: Socket;
  /** The first bytes that have come, nearly always a whole ClientHello; null before. */
  hello: Buffer | null = null;
  /** As the listener knows it. */
  readonly remoteAddress: string;
  readonly startedAt: number;
  readonly #onLate: (handshake: Handshake) => void;

  constructor(carrier: Socket, remoteAddress: string, now: number, onLate: (handshake: Handshake) => void) {
    this.carrier = carrier;
    this.remoteAddress = remoteAddress;
    this.startedAt = now;
    this.#onLate = onLate;
  }

  onDeadline(): void {
    this.#onLate(this);
  }
}

/**
 * TLS of one listening address. The listener owns it from the start to the end of the process. Its promise: each socket that
 * it is given is handed on, turned away or destroyed within the time limit.
 */
export class TlsPort {
  readonly certificates: Certificates;
  readonly #address: string;
  readonly #needsCertificate: boolean;
  readonly #asksForCertificate: boolean;
  readonly #server: Server;
  /** In the order of their accept. */
  readonly #pending = new Map<Socket, Handshake>();
  #host: TlsHost | null = null;
  #listenedOn = '';

  /** Reads the files. Throws UnusableCertificate. `address` is for people. */
  constructor(address: string, tls: ListenTls, ticketKeys: Buffer) {
    this.#address = address;
    this.certificates = new Certificates(tls, ticketKeys);
    this.#asksForCertificate = tls.clientCa !== undefined;
    this.#needsCertificate = this.#asksForCertificate && tls.clientCertificate === 'required';
    const { certificates } = this;
    this.#server = createServer({
      ...certificates.defaultOptions,
      ALPNProtocols: PROTOCOLS,
      requestCert: this.#asksForCertificate,
      // As in nginx a client without a good certificate gets an answer that says so, not an alert.
      rejectUnauthorized: false,
      // The deadline of the handshake is one of `Deadlines`.
      handshakeTimeout: 2 ** 31 - 1,
      ...(certificates.hasNames
        ? {
            SNICallback: (name: string, done: (error: null, context: SecureContext) => void) =>
              done(null, certificates.contextFor(name)),
          }
        : {}),
    });
    this.#server.on('secureConnection', (socket) => this.#secured(socket));
    this.#server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const handshake = this.#of(socket);
      if (handshake !== undefined) this.#fail(handshake, reasonOf(error), error.code ?? error.message);
    });
  }

  /** Handshakes that are under way. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Hands its clients to `host` from now on. `listenedOn` is the address as routes name it. */
  attach(host: TlsHost, listenedOn: string): void {
    this.#host = host;
    this.#listenedOn = listenedOn;
  }

  describe(): CertificateView[] {
    return this.certificates.describe(this.#address);
  }

  /** Takes changed files into use for handshakes that begin from now on; those that have begun keep theirs. */
  async renew(): Promise<readonly Renewal[]> {
    const renewals = await this.certificates.renew();
    if (renewals.some(({ problem }) => problem === null))
      this.#server.setSecureContext(this.certificates.defaultOptions);
    return renewals;
  }

  /** Begins the handshake with a client. */
  accept(carrier: Socket, remoteAddress: string, now: number): void {
    const host = this.#host!;
    const { limits, timeouts } = host.generation.config;
    const handshake = new Handshake(carrier, remoteAddress, now, this.#onLate);
    carrier.on('error', ignore);
    if (this.#pending.size >= limits.tlsHandshakes && !this.#makeRoom(now)) {
      carrier.destroy();
      return this.#report(handshake, 'limit', `limits.tlsHandshakes is ${limits.tlsHandshakes}`, false);
    }
    host.counters.handshakeBegun();
    this.#pending.set(carrier, handshake);
    host.deadlines.add(handshake);
    host.deadlines.set(handshake, now + timeouts.tlsHandshake);
    carrier.once('readable', this.#onFirstBytes.bind(this, handshake));
    carrier.once('close', () => this.#fail(handshake, 'closed', 'the client closed the connection'));
  }

  /** Ends every handshake at once. */
  stop(): void {
    for (const handshake of [...this.#pending.values()]) this.#fail(handshake, 'closed', 'the splitter ends');
  }

  #of(socket: TLSSocket): Handshake | undefined {
    const carrier = carrierOf(socket);
    return carrier === null ? undefined : this.#pending.get(carrier);
  }

  /** The first byte tells TLS from plain text (RFC 8446 §5.1), which OpenSSL would only call an error. */
  #onFirstBytes(handshake: Handshake): void {
    const { carrier } = handshake;
    if (!this.#pending.has(carrier)) return;
    const bytes: Buffer | null = carrier.read();
    if (bytes === null) return this.#fail(handshake, 'closed', 'the client closed the connection');
    const first = bytes[0]!;
    if (first === HANDSHAKE_RECORD || (first & SSL2_BIT) !== 0) {
      handshake.hello = bytes;
      carrier.unshift(bytes);
      this.#server.emit('connection', carrier);
      return;
    }
    this.#leave(handshake);
    this.#host!.counters.handshakeFailed('not_tls', true);
    this.#host!.handshakeEnded();
    this.#host!.turnAway(carrier, 'TLS_EXPECTED', causeOf('a plain HTTP request was sent to a TLS port'));
  }

  #secured(socket: TLSSocket): void {
    const handshake = this.#of(socket);
    if (handshake === undefined) return void socket.destroy();
    const host = this.#host!;
    this.#leave(handshake);
    // nginx refuses renegotiation with an alert. Here OpenSSL would keep the alerts that a client does not read (decision 55).
    socket.disableRenegotiation();
    socket.on('error', () => socket.destroy());
    const client = new TlsClient(socket, handshake.carrier, handshake.hello!);
    host.counters.handshakeSucceeded(client.isResumed);
    const fault = this.#asksForCertificate ? this.#faultOf(client) : null;
    if (fault === null) return host.secured(socket, client, handshake, this.#listenedOn);
    host.handshakeEnded();
    // The answer waits for the request, as a client may take any other one for none.
    const turnAway = (): void => host.turnAway(socket, ...fault);
    socket.setTimeout(host.generation.config.timeouts.requestHead, () => socket.destroy());
    socket.once('readable', turnAway);
  }

  #faultOf({ verification }: TlsClient): readonly [FaultCode, Cause] | null {
    if (verification === 'SUCCESS') return null;
    if (verification !== 'NONE')
      return ['CLIENT_CERTIFICATE_INVALID', causeOf(verification.replace('FAILED:', ''))];
    if (!this.#needsCertificate) return null;
    return ['CLIENT_CERTIFICATE_MISSING', causeOf('no client certificate was sent')];
  }

  readonly #onLate = (handshake: Handshake): void => {
    this.#fail(
      handshake,
      'timeout',
      `timeouts.tlsHandshake is ${this.#host!.generation.config.timeouts.tlsHandshake} ms`,
    );
  };

  /** A client that only connects must not keep others out: the oldest one that has had its time goes. */
  #makeRoom(now: number): boolean {
    const { tlsHandshake } = this.#host!.generation.config.timeouts;
    for (const handshake of this.#pending.values()) {
      const ageMs = now - handshake.startedAt;
      if (ageMs < SILENT_MS) return false;
      if (handshake.hello !== null && ageMs < tlsHandshake * BEGUN_RATIO) continue;
      this.#fail(handshake, 'limit', 'too many handshakes are under way');
      return true;
    }
    return false;
  }

  #leave(handshake: Handshake): void {
    this.#pending.delete(handshake.carrier);
    this.#host!.deadlines.remove(handshake);
  }

  #fail(handshake: Handshake, reason: HandshakeFailure, cause: string): void {
    if (!this.#pending.has(handshake.carrier)) return;
    this.#leave(handshake);
    handshake.carrier.destroy();
    this.#report(handshake, reason, cause, true);
  }

  #report({ remoteAddress }: Handshake, reason: HandshakeFailure, cause: string, hadBegun: boolean): void {
    const host = this.#host!;
    host.counters.handshakeFailed(reason, hadBegun);
    host.handshakeEnded();
    host.handshakeFailed(remoteAddress, reason, cause);
  }
}

function ignore(): void {
  // 'close' follows.
}

/** OpenSSL's reason, as Node names it: "ERR_SSL_NO_SHARED_CIPHER". */
function reasonOf({ code = '' }: NodeJS.ErrnoException): HandshakeFailure {
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'closed';
  if (code.includes('NO_APPLICATION_PROTOCOL')) return 'alpn';
  if (/ALERT_.*(?:CERTIFICATE|UNKNOWN_CA)|ALERT_UNKNOWN_CA/.test(code)) return 'certificate_rejected';
  if (/VERSION|PROTOCOL|CIPHER|GROUP|SIGNATURE/.test(code)) return 'protocol';
  return 'other';
}
