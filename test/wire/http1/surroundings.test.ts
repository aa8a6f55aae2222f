// What variables tell of a client's connection, of the process and of the clock, on a real socket.
import { hostname } from 'node:os';
import { expect, it } from 'vitest';
import { startSplitter } from '../../support/splitter.ts';

it('a text reads the connection of its request: both ports, both addresses, numbers, process and clock', async () => {
  const body =
    '$remote_addr $realip_remote_addr $server_addr $server_port $connection_requests $hostname $pid ' +
    '$remote_port $realip_remote_port $msec $request_time [$scheme$https$ssl_protocol$ssl_client_verify]';
  const splitter = await startSplitter({ routes: [{ respond: { status: 200, body } }] });
  const client = await splitter.client();
  const ask = async () => {
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    return (await client.message()).body.split(' ');
  };
  const before = Date.now();
  const first = await ask();
  const second = await ask();
  const facts = ['127.0.0.1', '127.0.0.1', '127.0.0.1', `${splitter.port}`];
  expect(first.slice(0, 4)).toEqual(facts);
  expect([first[4], second[4]]).toEqual(['1', '2']);
  expect(first.slice(5, 7)).toEqual([hostname().toLowerCase(), `${process.pid}`]);
  const port = first[7]!;
  expect(Number(port)).toBeGreaterThan(0);
  expect([first[8], second[7]]).toEqual([port, port]);
  expect(Number(first[9]) * 1000).toBeGreaterThanOrEqual(before - 1);
  expect(Number(second[9])).toBeGreaterThanOrEqual(Number(first[9]));
  expect(first[10]).toMatch(/^\d+\.\d{3}$/);
  expect(first[11]).toBe('[http]');
});
