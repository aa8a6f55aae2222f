// One socket's bytes in and out, over TLS as well, and also where Node does not offer what the fast way needs: a handle
// without useUserBuffer.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { afterAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { ReadMemory } from '../../../src/transport/read-memory.ts';
import { Wire, type WireOwner } from '../../../src/transport/wire.ts';
import { TestAuthority } from '../../support/certificates.ts';

const authority = new TestAuthority();
afterAll(() => authority.close());
const { certificate, key } = authority.issue({ names: ['localhost'] });
const tlsOptions = { cert: readFileSync(certificate), key: readFileSync(key) };

/** The two ends of a connection, and the TCP sockets below them; `wired` is the one that a Wire gets. */
interface Pair {
  wired: Socket;
  far: Socket;
  /** null where Node has none: tls.connect makes a handle only. */
  carrier: Socket | null;
  farCarrier: Socket;
}

async function startPair(isTls = false): Promise<Pair> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const farCarrier = connect({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    allowHalfOpen: true,
  });
  const [carrier] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => {
    farCarrier.destroy();
    carrier.destroy();
    server.close();
  });
  for (const socket of [farCarrier, carrier]) socket.on('error', () => undefined);
  if (!isTls) return { wired: carrier, far: farCarrier, carrier, farCarrier };
  const tlsServer = createTlsServer(tlsOptions);
  const secured = once(tlsServer, 'secureConnection') as Promise<[Socket]>;
  tlsServer.emit('connection', carrier);
  const far = connectTls({ socket: farCarrier, ca: authority.caBytes, servername: 'localhost' });
  far.on('error', () => undefined);
  const [[wired]] = await Promise.all([secured, once(far, 'secureConnect')]);
  wired.on('error', () => undefined);
  return { wired, far, carrier, farCarrier };
}

/** The wired one has asked for the connection, as those to upstreams do. */
async function startPairToServer(): Promise<Pair> {
  const server = createTlsServer({ ...tlsOptions, allowHalfOpen: true } as TlsOptions);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const secured = once(server, 'secureConnection') as Promise<[Socket]>;
  // As upstream/address.ts does: Node takes allowHalfOpen, its types do not know it.
  const halfOpen = { allowHalfOpen: true };
  const { port } = server.address() as AddressInfo;
  const wired = connectTls({
    ...halfOpen,
    port,
    host: '127.0.0.1',
    ca: authority.caBytes,
    servername: 'localhost',
  });

  wired.on('error', () => undefined);
  const [[farCarrier], [far]] = await Promise.all([accepted, secured, once(wired, 'secureConnect')]);
  far.on('error', () => undefined);
  farCarrier.on('error', () => undefined);
  onTestFinished(() => {
    wired.destroy();
    farCarrier.destroy();
    server.close();
  });
  return { wired, far, carrier: null, farCarrier };
}

class Owner implements WireOwner {
  read = '';
  readsOn = false;
  /** What happened, in order. */
  readonly log: string[] = [];
  /** Memory that reads came in. */
  readonly memories = new Set<ArrayBufferLike>();

  received(bytes: Buffer, from: number, to: number): void {
    this.read += bytes.toString('latin1', from, to);
    this.memories.add(bytes.buffer);
  }
  flushed(): void {
    this.log.push('flushed');
  }
  blocked(): void {
    this.log.push('blocked');
  }
  drained(): void {
    this.log.push('drained');
  }
  writeFailed(): boolean {
    this.log.push('writeFailed');
    return this.readsOn;
  }
}

const WAYS = [
  'direct',
  'without useUserBuffer',
  'TLS',
  'TLS without useUserBuffer',
  'TLS to a server',
] as const;
type Way = (typeof WAYS)[number];

/** As in a Node that lacks this part of the private API. */
function hideUserBuffer(socket: Socket): void {
  const handle: unknown = Reflect.get(socket, '_handle');
  Reflect.set(handle as object, 'useUserBuffer', undefined);
}

/** A wire whose reads have not begun. */
async function startQuiet(way: Way) {
  const isTls = way.startsWith('TLS');
  const pair = await (way === 'TLS to a server' ? startPairToServer() : startPair(isTls));
  if (way.endsWith('without useUserBuffer')) hideUserBuffer(pair.wired);
  const owner = new Owner();
  return { ...pair, owner, wire: new Wire(pair.wired, owner, !isTls, isTls ? pair.carrier : null) };
}

async function startWire(way: Way) {
  const started = await startQuiet(way);
  const memory = new ReadMemory(4096, 64);
  started.wire.startReading(memory);
  return { ...started, memory };
}

const textOf = (size: number, seed = 0) => {
  const letters = Array.from({ length: 26 }, (_, i) => String.fromCharCode(97 + ((i * 7 + seed) % 26)));
  return letters
    .join('')
    .repeat(Math.ceil(size / 26))
    .slice(0, size);
};

async function readAll(socket: Socket, size: number): Promise<string> {
  let text = '';
  socket.on('data', (data: Buffer) => {
    text += data.toString('latin1');
  });
  await vi.waitUntil(() => text.length >= size, { timeout: 10_000, interval: 1 });
  return text;
}

describe.each(WAYS)('a wire (%s)', (way) => {
  const isTls = way.startsWith('TLS');

  it('hands on every byte that comes, in order', async () => {
    const { far, owner, memory } = await startWire(way);
    const text = textOf(50_000);
    far.write(text);
    await vi.waitUntil(() => owner.read.length === text.length, { interval: 1 });
    expect(owner.read).toBe(text);
    expect(owner.memories.has(memory.bytes.buffer)).toBe(!way.endsWith('without useUserBuffer'));
  });

  it('reads nothing while it is paused, and on behind it, also when it is paused within a read', async () => {
    const { wire, far, owner } = await startWire(way);
    const text = textOf(200_000);
    const { received } = Owner.prototype;
    let reads = 0;
    owner.received = (bytes, from, to) => {
      expect(wire.isPaused).toBe(false);
      received.call(owner, bytes, from, to);
      reads++;
      wire.pause();
      setImmediate(() => wire.resume());
    };
    far.write(text);
    await vi.waitUntil(() => owner.read.length === text.length, { interval: 1 });
    expect(owner.read).toBe(text);
    expect(reads).toBeGreaterThan(1);
  });

  describe('that never runs dry', () => {
    /** Bytes of each turn of the event loop. */
    async function startFlood(pausesIn: number) {
      const { wire, wired, far, owner } = await startQuiet(way);
      const text = textOf(1000).repeat(1500);
      far.write(text);
      const turns: number[] = [0];
      const { received } = Owner.prototype;
      owner.received = (bytes, from, to) => {
        received.call(owner, bytes, from, to);
        turns[turns.length - 1]! += to - from;
        if (pausesIn === 0) return;
        // Whatever its owner does within the read that ends its part: only the next turn goes on.
        wire.pause();
        if (pausesIn === 1) wire.resume();
        else setImmediate(() => wire.resume());
      };
      const nextTurn = () => {
        turns.push(0);
        if (owner.read.length < text.length && !wired.destroyed) setImmediate(nextTurn);
      };
      setImmediate(nextTurn);
      wire.startReading(new ReadMemory(16_384, 0));
      return { wire, wired, far, owner, turns, text };
    }

    it.each([0, 1, 2])('leaves each turn to the others after its part (%i)', async (pausesIn) => {
      const { owner, turns, text } = await startFlood(pausesIn);
      await vi.waitUntil(() => owner.read.length === text.length, { timeout: 20_000, interval: 1 });
      expect(owner.read).toBe(text);
      // One read of the public socket holds 64 KiB.
      expect(Math.max(...turns)).toBeLessThanOrEqual(131_072 + 65_536);
    });

    it('reads nothing more once its socket is destroyed, and still sees the end of one that is not', async () => {
      const flood = await startFlood(0);
      await vi.waitUntil(() => flood.owner.read.length >= 131_072, { interval: 1 });
      flood.wired.destroy();
      const { length } = flood.owner.read;
      await once(flood.wired, 'close');
      await new Promise((resolve) => setImmediate(resolve));
      expect(flood.owner.read.length).toBe(length);

      const ended = await startFlood(0);
      const end = once(ended.wired, 'end');
      ended.far.end();
      await end;
      expect(ended.owner.read).toBe(ended.text);
    });
  });

  it('writes what is gathered in a turn at its end, at once, and says so once', async () => {
    const { wire, far, owner } = await startWire(way);
    wire.gather().text('one ');
    wire.write(Buffer.from('-two-'), 1, 4);
    wire.gather().text(' three');
    expect(owner.log).toEqual([]);
    expect(wire.hasUnsent).toBe(true);
    expect(await readAll(far, 13)).toBe('one two three');
    expect(owner.log.filter((what) => what === 'flushed')).toEqual(['flushed']);
    expect(wire.hasUnsent).toBe(false);
  });

  it('is not blocked by a write that the kernel has taken, even before TLS calls it finished', async () => {
    const { wire, far, owner } = await startWire(way);
    wire.gather().text('one');
    wire.flush();
    expect(wire.isBlocked).toBe(false);
    wire.gather().text(' two');
    wire.flush();
    expect(wire.isBlocked).toBe(false);
    expect(await readAll(far, 7)).toBe('one two');
    expect(owner.log.filter((what) => what === 'blocked')).toEqual([]);
  });

  it('keeps the order of what is copied, sent at once, gathered and held back, and copies what it holds back', async () => {
    const { wire, far, owner } = await startWire(way);
    const memory = Buffer.alloc(300_000);
    const pieces = [5, 20_000, 16_384, 16_385, 1, 250_000, 70_000, 3, 299_000, 64].map((size, i) =>
      textOf(size, i),
    );
    const expected = pieces.join('').repeat(12);
    for (let round = 0; round < 12; round++) {
      for (const [i, piece] of pieces.entries()) {
        if (i % 3 === 0) wire.gather().text(piece);
        else {
          memory.write(piece, memory.length - piece.length, 'latin1');
          // What stands in front may be written over, and all of it may be as soon as the call is over.
          wire.write(memory, memory.length - piece.length, memory.length, i % 2 === 0);
          memory.fill('#');
        }
      }
    }
    expect(wire.isBlocked).toBe(true);
    expect(await readAll(far, expected.length)).toBe(expected);
    await vi.waitUntil(() => owner.log.at(-1) === 'drained', { interval: 1 });
    expect([wire.isBlocked, wire.hasUnsent]).toEqual([false, false]);
    expect(owner.log.filter((what) => what === 'blocked').length).toBeGreaterThan(0);
  });

  it('writes a text after bytes, at any place in their memory, and leaves what follows them as it was', async () => {
    const { wire, far } = await startWire(way);
    const sizes = [1, 16_384, 16_385, 60_000, 2_000_000, 20_000, 8_000_000, 5, 100_000];
    let expected = '';
    for (const [i, size] of sizes.entries()) {
      const piece = textOf(size, i);
      // The last of them have no room for the text, or for a part of it.
      for (const room of [100, 7, 6, 0]) {
        const memory = Buffer.from(`${piece}${'#'.repeat(room)}`);
        wire.write(memory, 0, size, false, '\r\n0\r\n\r\n');
        expect(memory.toString('latin1') === `${piece}${'#'.repeat(room)}`).toBe(true);
        memory.fill('!');
        expected += `${piece}\r\n0\r\n\r\n`;
      }
    }
    expect(wire.isBlocked).toBe(true);
    expect((await readAll(far, expected.length)) === expected).toBe(true);
  });

  it('ends behind everything that was written, blocked or not', async () => {
    for (const size of [10, 8_000_000]) {
      const { wire, far } = await startWire(way);
      const text = textOf(size);
      wire.write(Buffer.from(text), 0, size);
      wire.gather().text(' and the last');
      wire.end();
      const ended = once(far, 'end');
      expect((await readAll(far, size + 13)).slice(-13)).toBe(' and the last');
      await ended;
    }
  });

  it('writes nothing and throws nothing once its socket is destroyed', async () => {
    const { wire, wired, far } = await startWire(way);
    const { wire: other, far: otherFar } = await startWire(way);
    wire.gather().text('too late');
    wired.destroy();
    // A descriptor of that number may be in use again: these are the next ones that the kernel gives.
    await once(far.resume(), 'end');
    const { far: next } = await startPair();
    let foreign = '';
    next.on('data', (data) => {
      foreign += data;
    });
    wire.write(Buffer.alloc(100_000), 0, 100_000);
    wire.gather().text('too late');
    wire.flush();
    wire.end();
    other.gather().text('in time');
    expect(await readAll(otherFar, 7)).toBe('in time');
    expect(foreign).toBe('');
  });

  it('ends its socket when the other end has reset it, and goes on for nobody', async () => {
    const { wire, wired, farCarrier, owner } = await startWire(way);
    const closed = new Promise((resolve) => wired.once('close', resolve));
    farCarrier.resetAndDestroy();
    for (let i = 0; i < 3; i++) {
      wire.write(Buffer.alloc(100_000), 0, 100_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await closed;
    expect(owner.log).not.toContain('drained');
    expect(wired.destroyed).toBe(true);
  });

  // Node destroys a TLS socket whose write has failed, together with what it has received.
  if (isTls) return;
  it('whose other end takes no more reads what that end sent before', async () => {
    const { wire, wired, far, owner } = await startWire(way);
    owner.readsOn = true;
    wire.pause();
    await new Promise<void>((resolve) => far.write('the answer', () => resolve()));
    far.resetAndDestroy();
    while (!owner.log.includes('writeFailed')) {
      wire.write(Buffer.alloc(100_000), 0, 100_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const ended = Promise.race([once(wired, 'close'), once(wired, 'end')]);
    wire.resume();
    await ended;
    expect(owner.read).toBe('the answer');
    expect(owner.log).not.toContain('drained');
  });
});
