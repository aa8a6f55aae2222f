// The private Node API that the data plane uses of a socket, in one place: its handle, and the slots of onread, which
// net.connect offers and accepted sockets lack. Says whether this Node has it (docs/decisions/0018).

import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { SocketIo } from '../telemetry/running.ts';

/** What of a socket's handle is used beside net.Socket. */
interface Handle {
  /** -1 once it is closed. */
  readonly fd?: number;
  /** Bytes that libuv has not given to the kernel. */
  readonly writeQueueSize?: number;
  useUserBuffer?(buffer: Uint8Array): void;
  /** The handle whose bytes one of TLS decrypts. */
  readonly _parent?: Handle;
}

/** Where net.Socket keeps the buffer and the callback of onread; undefined where it does not do so. */
export const ONREAD = (() => {
  const symbols = Object.getOwnPropertySymbols(new Socket());
  const find = (name: string) => symbols.find(({ description }) => description === name);
  const buffer = find('kBuffer');
  const callback = find('kBufferCb');
  return buffer === undefined || callback === undefined ? undefined : { buffer, callback };
})();

/**
 * How the sockets of this Node are read: past net.Socket, or by its public way because the private one is missing. The
 * first is docs/decisions/0018; the second costs more and does the same.
 */
export function socketIo(): SocketIo {
  if (ONREAD === undefined) return 'public';
  // A socket has a handle to look at only when it connects; nothing listens on port 0, and this is not waited for.
  const socket = new Socket().on('error', () => {});
  socket.connect({ host: '127.0.0.1', port: 0 });
  const isDirect = typeof handleOf(socket)?.useUserBuffer === 'function';
  socket.destroy();
  return isDirect ? 'direct' : 'public';
}

/** The socket whose bytes a TLS socket decrypts; null where Node keeps it elsewhere. */
export function carrierOf(socket: TLSSocket): Socket | null {
  return (socket as unknown as { readonly _parent?: Socket })._parent ?? null;
}

export function handleOf(socket: Socket): Handle | null {
  return (socket as unknown as { readonly _handle: Handle | null })._handle;
}

/** Bytes of a TLS socket that are encrypted and that libuv has not given to the kernel; undefined where Node does not say. */
export function carriedQueueSize(socket: Socket): number | undefined {
  return handleOf(socket)?._parent?.writeQueueSize;
}

/** The number of the socket's file descriptor; -1 where it has none. */
export function descriptorOf(socket: Socket): number {
  return handleOf(socket)?.fd ?? -1;
}
