// Writes over TLS, one at a time: what comes while one is under way waits, in order, and the end waits behind it. The socket
// is a stand-in that calls a write finished when the test says so; test/unit/transport/wire.test.ts has real ones.
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Wire, type WireOwner } from '../../../src/transport/wire.ts';

type Taken = (cause?: Error | null) => void;

/** A TLS socket, with what was asked of it. */
class StandIn {
  readonly asked: string[] = [];
  /** `_parent` is that of the socket below. */
  readonly _handle = { writeQueueSize: 0, _parent: { writeQueueSize: 0 } };
  destroyed = false;
  writableEnded = false;
  #underWay: { bytes: Buffer; taken: Taken } | null = null;

  _write(bytes: Buffer, _encoding: string, taken: Taken): void {
    if (this.#underWay !== null) throw new Error('a second write began before the first was finished');
    this.#underWay = { bytes, taken };
  }

  /** Finishes the write that is under way; what it was is read only now, as the memory is the socket's until then. */
  finish(cause: Error | null = null): void {
    const write = this.#underWay;
    if (write === null) throw new Error('no write is under way');
    this.#underWay = null;
    this.asked.push(write.bytes.length > 99 ? `${write.bytes.length} bytes` : write.bytes.toString());
    write.taken(cause);
  }

  get isWriting(): boolean {
    return this.#underWay !== null;
  }
  end(): void {
    if (this.writableEnded) return;
    this.writableEnded = true;
    this.asked.push('end');
  }
  destroySoon(): void {
    this.end();
    this.destroy();
  }
  destroy(): void {
    this.destroyed = true;
    this.asked.push('destroy');
  }
}

class Owner implements WireOwner {
  readonly log: string[] = [];
  received(): void {}
  flushed(): void {}
  blocked(): void {
    this.log.push('blocked');
  }
  drained(): void {
    this.log.push('drained');
  }
  writeFailed(): boolean {
    this.log.push('writeFailed');
    return false;
  }
}

function startWire() {
  const socket = new StandIn();
  const owner = new Owner();
  const wire = new Wire(socket as unknown as Socket, owner, false);
  const say = (text: string): void => {
    wire.gather().text(text);
    wire.flush();
  };
  return { socket, owner, wire, say };
}

describe('a write over TLS', () => {
  it('waits for the one before it, with all that is said meanwhile, and blocks nobody', () => {
    const { socket, owner, wire, say } = startWire();
    for (const text of ['one', 'two', ' three', ' four']) say(text);
    expect([wire.isBlocked, wire.hasUnsent]).toEqual([false, true]);
    socket.finish();
    socket.finish();
    expect(socket.asked).toEqual(['one', 'two three four']);
    expect([socket.isWriting, wire.hasUnsent, owner.log]).toEqual([false, false, []]);
  });

  it('of a body is of bytes that stay as they were, whatever happens to those of the caller', () => {
    const { socket, wire } = startWire();
    const body = Buffer.alloc(20_000, 'b');
    const written: string[] = [];
    const write = socket._write.bind(socket);
    socket._write = (bytes, encoding, taken) =>
      write(bytes, encoding, (cause) => {
        written.push(bytes.toString());
        taken(cause);
      });
    wire.gather().text('head ');
    wire.write(body, 0, body.length, true);
    body.fill('#');
    wire.flush();
    wire.write(body, 0, body.length);
    body.fill('!');
    socket.finish();
    socket.finish();
    expect(written).toEqual([`head ${'b'.repeat(20_000)}`, '#'.repeat(20_000)]);
  });

  it('that the socket below has not given to the kernel makes the client a slow one until it is finished', () => {
    const { socket, owner, wire, say } = startWire();
    socket._handle._parent.writeQueueSize = 7;
    say('one');
    expect([wire.isBlocked, owner.log]).toEqual([true, ['blocked']]);
    expect(wire.unsentBytes).toBe(7);
    say('two');
    expect(wire.unsentBytes).toBe(10);
    socket._handle.writeQueueSize = 100;
    expect(wire.strayBytes).toBe(97);
    socket._handle.writeQueueSize = 0;
    socket._handle._parent.writeQueueSize = 0;
    socket.finish();
    expect([wire.isBlocked, owner.log]).toEqual([false, ['blocked', 'drained']]);
    socket.finish();
    expect(socket.asked).toEqual(['one', 'two']);
  });

  it('behind which more than a turn brings has gathered makes the client a slow one', () => {
    const { socket, owner, wire, say } = startWire();
    say('one');
    const body = Buffer.alloc(100_000, 'b');
    for (let i = 0; i < 3; i++) wire.write(body, 0, body.length);
    expect([wire.isBlocked, owner.log]).toEqual([true, ['blocked']]);
    socket.finish();
    socket.finish();
    expect(socket.asked).toEqual(['one', '300000 bytes']);
    expect([wire.isBlocked, owner.log]).toEqual([false, ['blocked', 'drained']]);
  });

  it('leaves what is held back to the end of its turn', async () => {
    const { socket, wire, say } = startWire();
    say('one');
    wire.holdBack();
    wire.gather().text('two');
    socket.finish();
    expect(socket.isWriting).toBe(false);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    socket.finish();
    expect(socket.asked).toEqual(['one', 'two']);
  });

  it('that had waited and is held back leaves at the end of a turn as well', async () => {
    const { socket, wire, say } = startWire();
    say('one');
    wire.gather().text('two');
    // The end of this turn passes while the first is under way.
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    wire.holdBack();
    wire.gather().text(' three');
    socket.finish();
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    socket.finish();
    expect(socket.asked).toEqual(['one', 'two three']);
  });

  it('that fails ends the socket, and what waits is not handed over', () => {
    const { socket, owner, wire, say } = startWire();
    say('one');
    say('two');
    socket.finish(new Error('reset'));
    expect(socket.asked).toEqual(['one', 'destroy']);
    expect(owner.log).toEqual(['writeFailed']);
    expect(socket.isWriting).toBe(false);
    expect(wire.isBlocked).toBe(true);
  });
});

describe('the end over TLS', () => {
  it.each([
    ['end', ['end']],
    ['destroySoon', ['end', 'destroy']],
  ] as const)('comes at once where nothing is under way (%s)', (how, expected) => {
    const { socket, wire } = startWire();
    wire[how]();
    expect(socket.asked).toEqual(expected);
    expect(wire.isWritable).toBe(false);
  });

  it.each([
    ['end', ['end']],
    ['destroySoon', ['end', 'destroy']],
  ] as const)(
    'comes behind what is under way and what waits, and takes nothing more (%s)',
    (how, expected) => {
      const { socket, wire, say } = startWire();
      say('one');
      say('two');
      wire[how]();
      say('too late');
      wire[how]();
      expect([wire.isWritable, socket.asked]).toEqual([false, []]);
      socket.finish();
      expect(socket.asked).toEqual(['one']);
      say('too late');
      socket.finish();
      expect(socket.asked).toEqual(['one', 'two', ...expected]);
      expect(socket.isWriting).toBe(false);
    },
  );

  it('can become that of the connection while it waits', () => {
    const { socket, wire, say } = startWire();
    say('one');
    wire.end();
    wire.destroySoon();
    socket.finish();
    expect(socket.asked).toEqual(['one', 'end', 'destroy']);
  });

  it('comes for a client that does not read when it has read everything', () => {
    const { socket, owner, wire, say } = startWire();
    socket._handle._parent.writeQueueSize = 3;
    say('one');
    say('two');
    wire.end();
    expect([wire.hasUnsent, socket.asked]).toEqual([true, []]);
    socket.finish();
    socket._handle._parent.writeQueueSize = 0;
    socket.finish();
    expect(socket.asked).toEqual(['one', 'two', 'end']);
    expect(owner.log).toEqual(['blocked', 'drained']);
  });

  it('does not come where the client has gone meanwhile', () => {
    const { socket, owner, wire, say } = startWire();
    say('one');
    say('two');
    wire.end();
    socket.finish(new Error('reset'));
    expect(socket.asked.at(-1)).toBe('destroy');
    expect(socket.isWriting).toBe(false);
    expect(owner.log).toEqual(['blocked', 'writeFailed']);
  });
});
