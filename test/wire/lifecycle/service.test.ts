// A service in this process, where signals are calls: it starts, takes a changed file, keeps the last good one, and ends.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { runService, type Signal } from '../../../src/service/service.ts';
import { freePort } from '../../support/free-port.ts';

const THREAD = new URL('../../../src/load-thread.ts', import.meta.url).href;

/** A service on ports of its own. `write` replaces its file; `status` is what /status says. */
async function start(more: object = {}, keepsLastGood = false) {
  const folder = mkdtempSync(join(tmpdir(), 'splitter-service-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'splitter.yaml');
  const [port, adminPort] = [await freePort(), await freePort()];
  const write = (share: string) =>
    writeFileSync(
      file,
      JSON.stringify({
        listen: `127.0.0.1:${port}`,
        admin: `127.0.0.1:${adminPort}`,
        drain: { grace: '0s', deadline: '1s' },
        splits: {
          s: {
            key: '$arg_token',
            variants: [
              { name: 'a', share, upstream: 'http://127.0.0.1:9' },
              { name: 'b', share: '*', upstream: 'http://127.0.0.1:9' },
            ],
          },
        },
        ...more,
      }),
    );
  write('50%');
  const request = { flags: { config: file }, environment: {} };
  const loaded = await loadConfig(request);
  expect(loaded.problems).toBeUndefined();
  const errors: string[] = [];
  let signal: (name: Signal) => void = () => expect.unreachable('no signal can be taken yet');
  const host = {
    loadThread: THREAD,
    writeErr: (text: string) => void errors.push(text),
    onSignal: (listener: (name: Signal) => void) => {
      signal = listener;
    },
  };
  const kept = keepsLastGood ? join(folder, 'last-good') : null;
  const ended = runService(
    loaded as Parameters<typeof runService>[0],
    { request, kept, refused: null },
    host,
  );
  const admin = async (path: string) => (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
  const isReady = () =>
    expect.poll(() => admin('/readyz').catch(String), { timeout: 30_000 }).toContain('ready');
  /** Resolves when /metrics has this line. */
  const says = (line: string) =>
    expect.poll(async () => (await admin('/metrics')).split('\n'), { timeout: 30_000 }).toContain(line);
  return { port, kept, write, ended, errors, admin, isReady, says, signal: (name: Signal) => signal(name) };
}

describe('a service', () => {
  it('uses a changed file when SIGHUP comes, and ends with 0 after SIGTERM', async () => {
    const { write, ended, isReady, says, signal } = await start();
    await isReady();
    await says('splitter_config_generation 1');
    write('10%');
    signal('SIGHUP');
    await says('splitter_config_generation 2');
    signal('SIGUSR1');
    signal('SIGTERM');
    expect(await ended).toBe(0);
  });

  it('goes on with what it has when the file is bad, and keeps the last good one', async () => {
    const { write, ended, isReady, says, signal, kept } = await start({}, true);
    await isReady();
    await expect.poll(() => readFileSync(kept!, 'utf8'), { timeout: 30_000 }).toContain('50%');
    write('150%');
    signal('SIGHUP');
    await says('splitter_config_last_reload_successful 0');
    await says('splitter_config_generation 1');
    expect(readFileSync(kept!, 'utf8')).not.toContain('150%');
    signal('SIGINT');
    expect(await ended).toBe(0);
  });

  it('does not start where its address is taken, and says whose it is', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as { port: number };
    const { ended, errors } = await start({ listen: `127.0.0.1:${port}` });
    expect(await ended).toBe(1);
    expect(errors.join('')).toContain(`127.0.0.1:${port}`);
  });

  it('does not start with a certificate of an upstream that cannot be used', async () => {
    const file = join(import.meta.dirname, 'service.test.ts');
    const upstreams = { u: { url: 'https://127.0.0.1:9', tls: { certFile: file, keyFile: file } } };
    const { ended } = await start({ upstreams, splits: {}, routes: [{ upstream: 'u' }] });
    expect(await ended).toEqual([expect.stringContaining('upstreams.u.tls')]);
  });
});
