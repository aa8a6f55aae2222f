// A client that sends exactly the bytes of the test, in the pieces of the test, and reads responses.
import type { Message } from './message.ts';
import { RawSocket } from './raw-socket.ts';
import { connectClient } from './tls-mode.ts';

export class RawClient extends RawSocket {
  /** Connects to a port of the loopback, or to a Unix socket. */
  static async connect(to: number | string): Promise<RawClient> {
    const { socket, carrier } = await connectClient(to);
    return new RawClient(socket, carrier);
  }

  /** Sends the pieces and reads one response, interim ones included. */
  async ask(...pieces: (string | Buffer)[]): Promise<Message> {
    const sent = this.send(...pieces);
    const response = await this.response();
    await sent;
    return response;
  }

  /** The next response; `method` is the request's, when it is HEAD. */
  response(method = 'GET'): Promise<Message> {
    return this.message({ method });
  }
}
