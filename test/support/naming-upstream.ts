// An upstream on a raw socket that answers every request with its own name. Parses only heads without bodies.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** A listening upstream. */
export interface NamingUpstream {
  readonly port: number;
  close(): Promise<void>;
}

/** Starts an upstream that answers `name`, on a free port of 127.0.0.1. */
export async function startNamingUpstream(name: string): Promise<NamingUpstream> {
  const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let tail = '';
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      const heads = (tail + text).split('\r\n\r\n');
      tail = heads.pop()!;
      if (heads.length > 0) socket.write(answer.repeat(heads.length));
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
