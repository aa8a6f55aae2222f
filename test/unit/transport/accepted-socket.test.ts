// An accepted socket without the streams of net.Socket: its calls and events are those of one that answers half-closed
// clients, and what cannot be taken so goes the public way.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { AcceptedSocket, acceptHandles } from '../../../src/transport/accepted-socket.ts';
import { ReadMemory } from '../../../src/transport/read-memory.ts';
import { Wire } from '../../../src/transport/wire.ts';

const owner = { received() {}, flushed() {}, blocked() {}, drained() {}, writeFailed: () => false };

async function listen(path?: string): Promise<Server> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(path === undefined ? { port: 0, host: '127.0.0.1' } : { path });
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return server;
}

function open(server: Server): Socket {
  const address = server.address() as AddressInfo | string;
  const far = connect(typeof address === 'string' ? { path: address } : { port: address.port });
  far.on('error', () => undefined);
  onTestFinished(() => void far.destroy());
  return far;
}

/** An accepted socket that is read, the other end of its connection, and its events in order. */
async function startAccepted(path?: string) {
  const server = await listen(path);
  const taken = Promise.withResolvers<Socket>();
  expect(acceptHandles(server, () => true, taken.resolve)).toBe(true);
  const far = open(server);
  const [socket] = await Promise.all([taken.promise, once(far, 'connect')]);
  expect(socket).toBeInstanceOf(AcceptedSocket);
  onTestFinished(() => void socket.destroy());
  const events: string[] = [];
  const closed = Promise.withResolvers<void>();
  socket.on('end', () => events.push('end'));
  socket.on('error', (error: NodeJS.ErrnoException) => events.push(error.code ?? error.message));
  socket.on('close', () => {
    events.push('close');
    closed.resolve();
  });
  const wire = new Wire(socket, owner, true);
  wire.startReading(new ReadMemory(4096, 0));
  return { socket, wire, far, events, closed: closed.promise };
}

describe('an accepted socket', () => {
  it('closes when both ends have ended, in either order', async () => {
    const first = await startAccepted();
    first.far.end();
    await vi.waitUntil(() => first.events.includes('end'), { interval: 1 });
    expect(first.socket.destroyed).toBe(false);
    first.socket.end();
    await first.closed;
    expect(first.events).toEqual(['end', 'close']);

    const second = await startAccepted();
    const end = once(second.far.resume(), 'end');
    second.socket.end();
    await end;
    second.far.end();
    await second.closed;
    expect(second.events).toEqual(['end', 'close']);
  });

  it('whose end was asked for is closed when it has left, and stays closed', async () => {
    const { socket, far, events, closed } = await startAccepted();
    const end = once(far.resume(), 'end');
    socket.destroySoon();
    expect([socket.writableEnded, socket.destroyed]).toEqual([true, false]);
    await Promise.all([end, closed]);
    socket.destroySoon();
    socket.resetAndDestroy();
    expect(socket.resume().pause().destroyed).toBe(true);
    expect(events).toEqual(['close']);
  });

  it('reads on after an end of its own, and a destroyed one has no end', async () => {
    const { socket, far, events, closed } = await startAccepted();
    socket.end();
    await once(far.resume(), 'end');
    socket.destroy();
    socket.end();
    await closed;
    expect(events).toEqual(['close']);
  });

  it('tells the peer of a reset, and is told of one', async () => {
    const ours = await startAccepted();
    const reset = new Promise((resolve) => ours.far.on('close', resolve));
    const errors: unknown[] = [];
    ours.far.on('error', ({ code }: NodeJS.ErrnoException) => errors.push(code));
    ours.socket.resetAndDestroy();
    await Promise.all([reset, ours.closed]);
    expect(errors).toEqual(['ECONNRESET']);
    expect(ours.events).toEqual(['close']);

    const theirs = await startAccepted();
    theirs.far.resetAndDestroy();
    await theirs.closed;
    expect(theirs.events).toEqual(['ECONNRESET', 'close']);
  });

  it('has the addresses of both ends, and no other events', async () => {
    const { socket, far } = await startAccepted();
    expect([socket.remoteAddress, socket.remotePort]).toEqual([far.localAddress, far.localPort]);
    expect([socket.localAddress, socket.localPort]).toEqual([far.remoteAddress, far.remotePort]);
    expect(() => socket.on('data', () => {})).toThrow('no event "data"');
  });

  it('on a Unix socket ends in an orderly way where a reset is asked for', async () => {
    const { socket, far, closed } = await startAccepted(join(tmpdir(), `accepted-${process.pid}.sock`));
    const end = once(far.resume(), 'end');
    socket.resetAndDestroy();
    await Promise.all([end, closed]);
    expect(socket.remoteAddress).toBeUndefined();
  });

  it('is a net.Socket with its event `connection` where it may not be taken', async () => {
    const server = await listen();
    const asked: number[] = [];
    acceptHandles(
      server,
      (descriptor) => {
        asked.push(descriptor);
        return false;
      },
      () => expect.unreachable(),
    );
    const connection = once(server, 'connection') as Promise<[Socket]>;
    open(server);
    const [socket] = await connection;
    onTestFinished(() => void socket.destroy());
    expect(socket).not.toBeInstanceOf(AcceptedSocket);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toBeGreaterThan(2);
  });

  it('passes a failed accept on as the error of its server', async () => {
    const server = await listen();
    acceptHandles(
      server,
      () => true,
      () => expect.unreachable(),
    );
    const error = once(server, 'error');
    const handle: unknown = Reflect.get(server, '_handle');
    // EMFILE, as libuv says it.
    Reflect.apply(Reflect.get(handle as object, 'onconnection'), handle, [-24, undefined]);
    expect((await error)[0]).toMatchObject({ code: 'EMFILE', syscall: 'accept' });
  });
});
