// The server name in a ClientHello: of a real client, and of one that is cut anywhere or is something else.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readSniName } from '../../../src/downstream/client-hello.ts';

/** What a client of Node.js sends first. */
async function helloOf(options: object): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ host: '127.0.0.1', port, ...options }).on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  const chunks: Buffer[] = [];
  for await (const chunk of socket) {
    chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    if (bytes.length >= 5 + bytes.readUInt16BE(3)) return bytes;
  }
  throw new Error('the client ended its connection');
}

describe('the server name of a ClientHello', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('of %s is the one that the client sent', async (version) => {
    const only = { minVersion: version, maxVersion: version, ALPNProtocols: ['http/1.1'] };
    expect(readSniName(await helloOf({ ...only, servername: 'Shop.example' }))).toBe('Shop.example');
    expect(readSniName(await helloOf({ ...only, servername: '' }))).toBe('');
  });

  it('is empty where the message is cut, whatever is missing, and where it is no ClientHello', async () => {
    const hello = await helloOf({ servername: 'shop.example' });
    for (let length = 0; length < hello.length; length++)
      expect(readSniName(hello.subarray(0, length))).toBe('');
    expect(readSniName(Buffer.from('GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n'))).toBe('');
    const other = Buffer.from(hello);
    other[5] = 2;
    expect(readSniName(other)).toBe('');
  });

  it('never reads past the message, whatever its lengths say', async () => {
    const hello = await helloOf({ servername: 'shop.example' });
    const names = new Set<string>();
    for (let at = 9; at < hello.length; at++)
      for (const value of [0, 0x7f, 0xff]) {
        const changed = Buffer.from(hello);
        changed[at] = value;
        names.add(readSniName(changed));
      }
    for (const name of names) expect(name.length).toBeLessThan(hello.length);
    expect(names).toContain('shop.example');
  });
});
