// The private Node API that the data plane uses of a socket, in one place: its handle, the slots of onread, which
// net.connect offers and accepted sockets lack, and what an accepted handle needs to do without net.Socket. Says whether
// this Node has it (docs/decisions/0018).

import { type Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { SocketIo } from '../telemetry/running.ts';

/** What of a socket's handle is used beside net.Socket. */
export interface Handle {
  /** -1 once it is closed. */
  readonly fd?: number;
  /** Bytes that libuv has not given to the kernel. */
  readonly writeQueueSize?: number;
  /** It is being read; Node clears it when a callback of onread wants no more. */
  reading?: boolean;
  useUserBuffer?(buffer: Uint8Array): void;
  readStart?(): number;
  readStop?(): number;
  setNoDelay?(on: boolean): number;
  close?(closed: () => void): void;
  /** 0 unless it cannot be reset. */
  reset?(closed: () => void): number;
}

/** A handle that listens. */
interface ListeningHandle extends Handle {
  onconnection(status: number, handle: Handle | undefined): void;
}

/** What accepted handles need to be read and written without a net.Socket. */
export interface AcceptSlots {
  readonly listening: ListeningHandle;
  /** Where a handle keeps who is called for it. */
  readonly owner: symbol;
  /** Node's function that is called for each read. */
  readonly onread: unknown;
}

/** The methods of net.Socket on an object that its constructor has not filled. */
export const BareSocket = (() => {
  function Bare(): void {}
  Bare.prototype = Socket.prototype;
  return Bare as unknown as new () => Socket & { _final(done: (error?: Error | null) => void): void };
})();

/** Where net.Socket keeps the buffer and the callback of onread; undefined where it does not do so. */
export const ONREAD = (() => {
  const symbols = Object.getOwnPropertySymbols(new Socket());
  const find = (name: string) => symbols.find(({ description }) => description === name);
  const buffer = find('kBuffer');
  const callback = find('kBufferCb');
  const generator = find('kBufferGen');
  return buffer === undefined || callback === undefined || generator === undefined
    ? undefined
    : { buffer, callback, generator };
})();

/**
 * How the sockets of this Node are read: past net.Socket, or by its public way because the private one is missing. The
 * first is docs/decisions/0018; the second costs more and does the same.
 */
export function socketIo(): SocketIo {
  return readSlots() === undefined ? 'public' : 'direct';
}

/** What every handle of a net.Socket has; undefined where something is missing. */
function readSlots(): Pick<AcceptSlots, 'owner' | 'onread'> | undefined {
  if (ONREAD === undefined) return undefined;
  // A socket has a handle to look at only when it connects; nothing listens on port 0, and this is not waited for.
  const socket = new Socket().on('error', () => {});
  socket.connect({ host: '127.0.0.1', port: 0 });
  const handle = handleOf(socket);
  const symbols = handle === null ? [] : Object.getOwnPropertySymbols(handle);
  const owner = symbols.find(({ description }) => description === 'owner_symbol');
  const onread: unknown = handle === null ? undefined : Reflect.get(handle, 'onread');
  const isDirect = typeof handle?.useUserBuffer === 'function' && typeof onread === 'function';
  socket.destroy();
  return isDirect && owner !== undefined ? { owner, onread } : undefined;
}

/** The same of a server that listens. */
export function acceptSlots(server: Server): AcceptSlots | undefined {
  const listening = (server as unknown as { readonly _handle?: ListeningHandle | null })._handle;
  if (typeof listening?.onconnection !== 'function') return undefined;
  const slots = readSlots();
  return slots === undefined ? undefined : { listening, ...slots };
}

/** The socket whose bytes a TLS socket decrypts; null where Node keeps it elsewhere. */
export function carrierOf(socket: TLSSocket): Socket | null {
  return (socket as unknown as { readonly _parent?: Socket })._parent ?? null;
}

/** Makes a socket, and what is called for it, those of a handle; null = it has none any more. */
export function setHandle(socket: Socket, handle: Handle | null, slots: AcceptSlots | null): void {
  const fields = socket as unknown as Record<string | symbol, unknown>;
  fields._handle = handle;
  if (handle === null || slots === null) return;
  fields[ONREAD!.generator] = null;
  Reflect.set(handle, slots.owner, socket);
  Reflect.set(handle, 'onread', slots.onread);
}

export function handleOf(socket: Socket): Handle | null {
  return (socket as unknown as { readonly _handle: Handle | null })._handle;
}

/** The number of the socket's file descriptor; -1 where it has none. */
export function descriptorOf(socket: Socket): number {
  return handleOf(socket)?.fd ?? -1;
}
