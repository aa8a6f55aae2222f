// Why a splitter cannot listen, in one line for each address, with what to do.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { describeListenFailure } from '../../../src/service/listen-failure.ts';
import { configOf } from '../../support/splitter.ts';

const describeCode = (code: string, message = '', command: string | null = null) =>
  describeListenFailure(
    { address: '127.0.0.1:80', port: 'downstream', cause: Object.assign(new Error(message), { code }) },
    { listen: [], admin: null },
    command,
  );

it.each([
  [
    'EADDRINUSE',
    'another program uses it. Stop that program, or choose another address with --listen or LISTEN',
  ],
  ['EACCES', 'this user may not open it (ports below 1024 and directories of other users need permission)'],
  ['EADDRNOTAVAIL', 'this machine has no such address; choose another address'],
  ['EMFILE', 'too many open files; choose another address'],
])('%s has its sentence', async (code, sentence) => {
  const line = await describeCode(code, 'too many open files');
  expect(line).toContain('request-splitter: cannot listen on 127.0.0.1:80 (the port for requests): ');
  expect(line).toContain(sentence);
});

it('shows the command again with the next port, where the command is known', async () => {
  expect(await describeCode('EADDRINUSE', '', 'npm start --')).toMatch(
    /, like this: npm start -- --listen 127\.0\.0\.1:81$/,
  );
});

it('one try finds every address that is taken, and no other', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as { port: number };
  const variants = [{ name: 'a', share: '*', upstream: 'http://a' }];
  const config = configOf({
    listen: [`127.0.0.1:${port}`, '127.0.0.1:0', 'unix:/tmp/none.sock', '203.0.113.1:8000'],
    admin: 'off',
    splits: { s: { key: '$arg_a', variants } },
  });
  const cause = Object.assign(new Error('in use'), { code: 'EADDRINUSE' });
  const text = await describeListenFailure(
    { address: `127.0.0.1:${port}`, port: 'admin', cause },
    config,
    null,
  );
  expect(text.split('\n')).toEqual([
    expect.stringContaining(`${port} (the admin port): another program uses it`),
    expect.stringContaining(`${port} (the port for requests): another program uses it`),
    expect.stringContaining('203.0.113.1:8000 (the port for requests): this machine has no such address'),
  ]);
});
