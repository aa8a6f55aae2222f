// The examples do what their comments say: each is started as a user would start it, and asked.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { startNamingUpstream } from '../support/naming-upstream.ts';

const root = join(import.meta.dirname, '../..');

/** Starts an example on a free port; gives its URL and the lines that it writes on standard error. */
async function startExample(file: string, env: Record<string, string> = {}) {
  const program = spawn(join(root, 'node_modules/.bin/node'), [join(root, 'examples', file)], {
    env: { PATH: process.env.PATH, PORT: '0', ...env },
  });
  const ended = once(program, 'exit');
  onTestFinished(async () => {
    program.kill('SIGTERM');
    await ended;
  });
  const errors = createInterface(program.stderr);
  const said = once(createInterface(program.stdout), 'line') as Promise<[string]>;
  const started = await Promise.race([said, ended.then(([code]) => [`exit ${code}`] as [string])]);
  return { url: started[0].replace(/^listening on /, ''), program, ended, errors };
}

it('create-splitter: a server decides in-process which of its own versions a token gets', async () => {
  const { url } = await startExample('create-splitter.ts');
  const ask = async (query: string) => (await fetch(`${url}/${query}`)).text();
  expect(await ask('?token=xbaaErt4')).toBe('bread 1.90\n');
  expect(await ask('?token=vraaWviL')).toBe('bread 2.10\n');
  expect(await ask('')).toBe('a token, please\n');
});

it('http-proxy: a server that exists hands a part of its paths to two upstreams, and survives when one is gone', async () => {
  const current = await startNamingUpstream('current');
  onTestFinished(() => current.close());
  const { url, program, ended, errors } = await startExample('http-proxy.ts', {
    BACKEND: `http://127.0.0.1:${current.port}`,
    EXPERIMENT: `http://127.0.0.1:${await freePort()}`,
  });
  const ask = (path: string, uid: string) => fetch(url + path, { headers: { cookie: `uid=${uid}` } });
  const fault = new Promise<string>((resolve) => {
    // In front of it stands a deprecation warning of http-proxy's.
    errors.on('line', (line) => line.startsWith('UPSTREAM_') && resolve(line));
  });
  expect(await (await ask('/', 'abc')).text()).toBe('hello from the server that was here before\n');
  expect(await (await ask('/shop/cart', 'abc')).text()).toBe('current');
  const gone = await ask('/shop/cart?coupon=secret', 'a');
  expect([gone.status, gone.headers.get('x-splitter-error')]).toEqual([502, 'UPSTREAM_CONNECT_FAILED']);
  expect(await (await ask('/shop', 'abc')).text()).toBe('current');
  expect(await fault).toBe('UPSTREAM_CONNECT_FAILED: GET /shop/cart');
  program.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});
