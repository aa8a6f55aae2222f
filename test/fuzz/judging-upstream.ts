// The upstream of one lane of the fuzzer: it requires canonical requests and answers as the round says.
import { createServer, type Server } from 'node:net';
import type { Message } from '../support/message.ts';
import { RawSocket } from '../support/raw-socket.ts';

/** The upstream of one lane: reads strictly, answers with the nonce, or with the hostile bytes of the round. */
export class JudgingUpstream {
  /** Requests of hostile clients in this round, in order. */
  seen: Message[] = [];
  /** What was wrong with the bytes that came; null while nothing was. */
  complaint: string | null = null;
  /** What the next request for /evil is answered with. */
  evil: readonly Buffer[] = [];
  /** It keeps the connection open behind them, and goes on as if nothing had happened. */
  keepsOpen = false;
  readonly #server: Server;
  readonly #sockets = new Set<RawSocket>();
  #transcripts: string[] = [];

  constructor() {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      const raw = new RawSocket(socket);
      this.#sockets.add(raw);
      void raw.closed.then(() => this.#sockets.delete(raw));
      void this.#serve(raw);
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Forgets the round before. Returns what reached this upstream in it, request by request. */
  takeTranscripts(): string[] {
    const transcripts = this.#transcripts;
    this.#transcripts = [];
    this.seen = [];
    return transcripts;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.close();
  }

  /** Answers a request whose body has not ended. Nothing but that body may come on this connection any more. */
  async #answerEarly(raw: RawSocket): Promise<void> {
    await raw.send(...this.evil);
    if (this.keepsOpen) await raw.ended;
    if (/ HTTP\/1\.1\r\n.* HTTP\/1\.1\r\n/s.test(raw.pending)) {
      this.complaint = `another request stands inside a body: ${JSON.stringify(raw.pending)}`;
    }
    raw.close();
  }

  async #serve(raw: RawSocket): Promise<void> {
    for (;;) {
      let request: Message;
      try {
        await raw.untilText('\r\n\r\n');
        if (raw.pending.startsWith('POST /evil-early ')) return await this.#answerEarly(raw);
        request = await raw.message();
      } catch (error) {
        // An end between or within messages is a connection that the splitter gave up; all else is a malformed one.
        if (!(error as Error).message.startsWith('the connection ended'))
          this.complaint = (error as Error).message;
        raw.close();
        return;
      }
      this.#transcripts.push(request.raw);
      const path = request.line.split(' ')[1]!;
      if (path === '/evil') {
        await raw.send(...this.evil);
        if (this.keepsOpen) continue;
        raw.end();
        return;
      }
      const isHonest = path.startsWith('/honest/');
      if (!isHonest) this.seen.push(request);
      const body = isHonest ? `nonce ${path}` : 'seen';
      const isHead = request.line.startsWith('HEAD ');
      await raw.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${isHead ? '' : body}`);
    }
  }
}
