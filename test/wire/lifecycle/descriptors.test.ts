// A process that runs out of file descriptors: clients are refused with an answer, counted and logged, the admin port
// answers on, and when clients leave all is as before.
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { ProgramRun } from '../../support/program.ts';
import { RawClient } from '../../support/raw-client.ts';
import { startUpstream } from '../../support/splitter.ts';

const isMissing = !existsSync('/proc/self/limits');
if (isMissing) console.warn('skipped: there is no /proc here, so the limit is not known');

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

it.skipIf(isMissing)(
  'clients beyond the limit are refused with RESOURCES_EXHAUSTED, and the admin port answers on',
  async () => {
    const upstream = await startUpstream();
    const [port, admin] = [await freePort(), await freePort()];
    const run = new ProgramRun(
      ['--listen', `127.0.0.1:${port}`, '--admin', `127.0.0.1:${admin}`, '--split', `* ${upstream.url}`],
      {},
      { wrap: ['sh', '-c', 'ulimit -n 60; exec "$0" "$@"'] },
    );
    onTestFinished(() => run.kill());
    await run.event('serving');
    expect(
      await run.event('limits.connections is more than the file descriptors \\(RLIMIT_NOFILE\\) allow'),
    ).toMatchObject({ level: 'warn', connections: 10_000, needed: 20_000, openFilesMax: 60 });

    let answers = '';
    let closed = 0;
    const refused = Promise.withResolvers<void>();
    const held: Socket[] = Array.from({ length: 80 }, () => {
      const client = connect(port, '127.0.0.1');
      client.on('error', () => undefined);
      client.on('data', (bytes) => {
        answers += bytes;
      });
      client.on('close', () => {
        closed += 1;
        if (closed === 40) refused.resolve();
      });
      return client;
    });
    await refused.promise;
    expect(answers).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
    expect(answers).toContain('x-splitter-error: RESOURCES_EXHAUSTED\r\n');
    expect(await run.event('connections refused')).toMatchObject({
      level: 'warn',
      code: 'RESOURCES_EXHAUSTED',
      cause: 'nearly all of 60 file descriptors (RLIMIT_NOFILE) are in use',
    });

    const look = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${admin}${path}`, { headers: { connection: 'close' } });
      return [response.status, await response.text()] as const;
    };
    expect((await look('/healthz'))[0]).toBe(200);
    const [, metrics] = await look('/metrics');
    expect(metrics).toContain('\nprocess_max_fds 60\n');
    // Each client was either accepted or counted as refused: none was lost without a trace.
    const count = (name: RegExp) => Number(name.exec(metrics)?.[1]);
    const accepted = count(/\nsplitter_downstream_connections_accepted_total (\d+)/);
    const refusals = count(/\nsplitter_refusals_total\{code="RESOURCES_EXHAUSTED",blame="splitter"\} (\d+)/);
    expect(accepted + refusals).toBe(80);

    const gone = held.map((client) => new Promise((resolve) => client.once('close', resolve)));
    for (const client of held) client.destroy();
    await Promise.all(gone.filter((_, index) => !held[index]!.closed));
    const ask = async () => {
      const client = await RawClient.connect(port);
      onTestFinished(() => client.close());
      return (await client.ask(GET)).body;
    };
    await expect.poll(ask, { timeout: 10_000 }).toBe('GET / HTTP/1.1');
  },
);
