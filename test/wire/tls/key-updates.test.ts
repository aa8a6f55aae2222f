// A client of TLS 1.3 that has its keys renewed again and again and reads none of the answers (RFC 8446 §4.6.3). Node.js sends no
// KeyUpdate, so that the test makes the records itself (RFC 8446 §5.2 and §7.2), for one cipher.
import { createCipheriv, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { afterAll, expect, it, onTestFinished } from 'vitest';
import { TestAuthority } from '../../support/certificates.ts';
import { startSplitter, startUpstream } from '../../support/splitter.ts';

const authority = new TestAuthority();
afterAll(() => authority.close());

/** More than the kernel takes for a client that does not read. */
const BODY_BYTES = 20_000_000;

/** HKDF-Expand-Label with an empty context, for at most 32 bytes. */
function expand(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
}

/** Records that ask for a KeyUpdate in return, one after the other; `sent` records of these keys have gone before. */
function* keyUpdates(first: Buffer, sent: number): Generator<Buffer> {
  let secret = first;
  for (let sequence = sent; ; sequence = 0) {
    const iv = Buffer.from(expand(secret, 'iv', 12));
    iv[11]! ^= sequence;
    // handshake message 24 of one byte, update_requested; a record of type 22.
    const plain = Buffer.from([24, 0, 0, 1, 1, 22]);
    const head = Buffer.from([23, 3, 3, 0, plain.length + 16]);
    const cipher = createCipheriv('aes-128-gcm', expand(secret, 'key', 16), iv).setAAD(head);
    yield Buffer.concat([head, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    secret = expand(secret, 'traffic upd', 32);
  }
}

/** A client that has asked for more than the kernel takes, and reads no byte of it; it can ask for KeyUpdates. */
async function startStalled(port: number) {
  const raw = connectPlain(port, '127.0.0.1');
  onTestFinished(() => void raw.destroy());
  raw.on('error', () => undefined);
  const pipe = new Duplex({ read: () => undefined, write: (bytes, _, done) => void raw.write(bytes, done) });
  raw.on('data', (bytes) => pipe.push(bytes));
  const client = connect({
    socket: pipe,
    ca: authority.caBytes,
    servername: 'localhost',
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
  });
  let secret = Buffer.alloc(0);
  client.on('keylog', (line: Buffer) => {
    const [name, , text] = line.toString().trim().split(' ');
    if (name === 'CLIENT_TRAFFIC_SECRET_0') secret = Buffer.from(text!, 'hex');
  });
  await Promise.all([once(client, 'secureConnect'), once(client, 'session')]);
  raw.pause();
  await new Promise<void>((done) => {
    client.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n', () => done());
  });
  const records = keyUpdates(secret, 1);
  return {
    /** Reads on until so many bytes have come. */
    async read(count: number): Promise<void> {
      let left = count;
      client.on('data', (bytes: Buffer) => {
        left -= bytes.length;
      });
      raw.resume();
      await expect.poll(() => left, { timeout: 60_000 }).toBeLessThanOrEqual(0);
    },
    renewKeys(count: number): void {
      raw.write(Buffer.concat(Array.from({ length: count }, () => records.next().value as Buffer)));
    },
  };
}

it('ends a client that has its keys renewed without end, not one that does so now and then', async () => {
  const upstream = await startUpstream(async (peer) => {
    await peer.request();
    await peer.ok('x'.repeat(BODY_BYTES));
  });
  const splitter = await startSplitter({
    listen: { address: '127.0.0.1:0', tls: authority.issue({ names: ['localhost'] }) },
    upstreams: { u: { url: upstream.url } },
    routes: [{ upstream: 'u' }],
    // It is not this limit that ends the one.
    timeouts: { write: '10m' },
  });
  const { downstream } = splitter.ambassador.counters;
  const [patient, greedy] = [await startStalled(splitter.port), await startStalled(splitter.port)];
  await upstream.peer(1);
  patient.renewKeys(1000);
  // Each answer has 27 bytes, and the kernel takes the first ones: more than 1 MiB waits in the end.
  for (let i = 0; i < 100; i++) {
    greedy.renewKeys(1000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await expect.poll(() => downstream.status().connectionsOpen, { timeout: 60_000 }).toBe(1);
  await patient.read(BODY_BYTES);
});
