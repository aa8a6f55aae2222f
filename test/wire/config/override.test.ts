// Overrides on real sockets: a tester reaches the variant that was asked for, the asking goes no further, and nobody else
// gains anything by asking.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { valuesOf } from '../../support/message.ts';
import { ProgramRun } from '../../support/program.ts';
import { startUpstream } from '../../support/splitter.ts';
import { startTwoVariants } from '../../support/two-variants.ts';

const SECRET = 'correct-horse-battery';
const OVERRIDE = { header: 'x-variant-please', cookie: 'please', query: 'please', variants: ['b'] };
const SECRETIVE = { override: { ...OVERRIDE, secret: SECRET } };

const request = (target: string, ...fields: string[]) =>
  `${[`GET ${target} HTTP/1.1`, 'Host: h', ...fields].join('\r\n')}\r\n\r\n`;

describe('an override with its secret', () => {
  it.each([
    ['by header', request('/?token=1', `X-Variant-Please: b~${SECRET}`), request('/?token=1')],
    ['by cookie', request('/', `Cookie: a=1; please=b~${SECRET}; c="2"`), request('/', 'Cookie: a=1; c="2"')],
    ['by query', request(`/p%20?please=b~${SECRET}&token=1&x=%2F`), request('/p%20?token=1&x=%2F')],
    ['by query, in an absolute-form', request(`http://h/?x&please=b~${SECRET}`), request('/?x')],
  ])('%s reaches its variant, and the upstream sees nothing of it', async (_, sent, arrived) => {
    const { a, b, client } = await startTwoVariants(SECRETIVE);
    await client.ask(sent);
    expect([a.transcript, b.transcript]).toEqual(['', arrived]);
  });

  it('is counted for itself and is no part of the sample', async () => {
    const { client, counted, sample } = await startTwoVariants(SECRETIVE);
    await client.ask(request('/?token=1', `X-Variant-Please: b~${SECRET}`));
    await client.ask(request('/?token=2'));
    expect([counted('b').overrides, counted('b').ended, counted('a').overrides]).toEqual([1, 1, 0]);
    expect(
      sample()
        .counts()
        .map(({ keys }) => Math.round(keys)),
    ).toEqual([0, 1]);
  });

  it('is said to the log with its reason, and its secret is not', async () => {
    const records: unknown[] = [];
    const accessLog = { wants: () => true, write: (record: unknown) => records.push(record) };
    const { client } = await startTwoVariants(SECRETIVE, {}, { accessLog: accessLog as never });
    await client.ask(request(`/?please=b~${SECRET}`));
    expect(records).toMatchObject([{ reason: 'override', variant: 'b', path: '/' }]);
    expect(JSON.stringify(records)).not.toContain(SECRET);
  });

  it('is sent again as it was sent first when a reused connection turns out to be dead', async () => {
    const { b, client } = await startTwoVariants(
      SECRETIVE,
      {},
      {
        script: async (peer, index) => {
          await peer.request();
          await peer.ok();
          // The second request on the first connection is read and never answered: the upstream had closed it already.
          if (index === 0) {
            await peer.request();
            peer.reset();
          }
        },
      },
    );
    const sent = request(`/?please=b~${SECRET}&n=1`, `Cookie: please=b~${SECRET}; c=2`);
    await client.ask(sent);
    await client.ask(sent);
    expect(b.transcript).toBe(request('/?n=1', 'Cookie: c=2').repeat(3));
  });
});

describe('an override without the right to it', () => {
  // The attack: a client picks the variant that it likes better, or finds a parked one before its release.
  it.each([
    ['without the secret', ['X-Variant-Please: b'], '/'],
    ['with a wrong secret', [`X-Variant-Please: b~${SECRET}!`], '/'],
    ['with the secret of another kind of place', ['X-Variant-Please: b', `Cookie: please=~${SECRET}`], '/'],
    ['for a variant that is not on the list', [`X-Variant-Please: a~${SECRET}`], '/'],
    ['for a variant that nobody knows', [`X-Variant-Please: c~${SECRET}`], '/'],
    ['twice, of which one is right', ['X-Variant-Please: b', `X-Variant-Please: b~${SECRET}`], '/'],
    ['as one field of a list', [`X-Variant-Please: b~${SECRET}, b~${SECRET}`], '/'],
    ['by two cookies', [`Cookie: please=b~${SECRET}; please=b~${SECRET}`], '/'],
    ['by two query parameters', [], `/?please=b~${SECRET}&please=b~${SECRET}`],
  ])('%s goes by its key, lacks the asking and is counted', async (_, fields, target) => {
    const { a, b, client, counted, sample } = await startTwoVariants({ key: '$remote_addr', ...SECRETIVE });
    await client.ask(request(target, ...fields));
    expect([a.transcript, b.transcript]).toEqual([request('/'), '']);
    expect([counted('a').overridesRefused, counted('a').overrides]).toEqual([1, 0]);
    expect(
      sample()
        .counts()
        .map(({ keys }) => Math.round(keys)),
    ).toEqual([0, 1]);
  });

  // The upstream must not take for said by a tester what a client says, in whatever spelling it accepts.
  it('goes no further in any spelling of its name', async () => {
    const { a, client } = await startTwoVariants(SECRETIVE);
    const names = ['x-variant-please', 'X-VARIANT-PLEASE', 'X_Variant_Please', 'x_variant-please'];
    await client.ask(
      request('/?PLEASE=b&Please', ...names.map((name) => `${name}: b`), 'Cookie: PLEASE=b; pleaSe'),
    );
    expect(a.transcript).toBe(request('/'));
  });

  // A trailer can be merged into the head by whoever reads the chunked body.
  it('goes no further as a trailer', async () => {
    const { a, client } = await startTwoVariants(SECRETIVE);
    await client.ask(
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n' +
        `1\r\nx\r\n0\r\nX-Variant-Please: b~${SECRET}\r\nX_variant_please: b\r\nX-Sum: 1\r\n\r\n`,
    );
    expect(a.requests[0]!.trailers).toEqual([['X-Sum', '1']]);
  });

  it('says nothing where the split has no override', async () => {
    const { a, client } = await startTwoVariants({});
    const sent = request('/?please=b', 'X-Variant-Please: b', 'Cookie: please=b');
    await client.ask(sent);
    expect(a.transcript).toBe(sent);
  });
});

it('a secret that is rotated in its file is the one that counts from then on, without a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'override-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [file, secretFile] = [join(folder, 'splitter.yaml'), join(folder, 'secret')];
  const [a, b] = [await startUpstream(), await startUpstream()];
  const variants = `[{ name: b, share: 0%, upstream: "${b.url}" }, { name: a, share: "*", upstream: "${a.url}" }]`;
  const override = `{ header: x-v, variants: [b], secretFile: ${secretFile} }`;
  writeFileSync(secretFile, `${SECRET}\n`);
  writeFileSync(file, `splits: { s: { variants: ${variants}, override: ${override} } }`);
  const run = new ProgramRun(['--config', file], { LISTEN: '127.0.0.1:0', ADMIN: 'off' });
  onTestFinished(() => run.kill());
  const { listening } = (await run.event('serving')) as { listening: string[] };
  const ask = (secret: string) => fetch(listening[0]!, { headers: { 'x-v': `b~${secret}` } });
  await ask(SECRET);
  writeFileSync(secretFile, `${SECRET}-rotated\n`);
  await run.event('configuration accepted');
  await ask(SECRET);
  await ask(`${SECRET}-rotated`);
  expect([a.requests.length, b.requests.length]).toEqual([1, 2]);
  expect(run.stdout).not.toContain(SECRET);
});

it('each request of a connection is judged by itself', async () => {
  const { a, b, client } = await startTwoVariants({ override: OVERRIDE });
  await client.ask(request('/1?please=b'));
  await client.ask(request('/2'));
  await client.ask(request('/3', 'X-Variant-Please: b'));
  await client.ask(request('/4', 'X-Other: b'));
  expect(a.transcript).toBe(request('/2') + request('/4', 'X-Other: b'));
  expect(b.transcript).toBe(request('/1') + request('/3'));
});

it('requests sent ahead keep what is their own', async () => {
  const { a, b, client } = await startTwoVariants({ override: OVERRIDE });
  await client.send(request('/1?please=b') + request('/2?x=1') + request('/3?please=b&y=2'));
  const bodies = [await client.response(), await client.response(), await client.response()].map(
    ({ body }) => body,
  );
  expect(bodies).toEqual(['GET /1 HTTP/1.1', 'GET /2?x=1 HTTP/1.1', 'GET /3?y=2 HTTP/1.1']);
  expect([a.requests.length, b.requests.length]).toEqual([1, 2]);
});

it('an upgrade can be overridden like any other request', async () => {
  const { a, b, client } = await startTwoVariants(
    { override: OVERRIDE },
    {},
    {
      script: async (peer) => {
        await peer.request();
        await peer.send(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
        );
      },
    },
  );
  const { line } = await client.ask(request('/?please=b', 'Connection: Upgrade', 'Upgrade: websocket'));
  expect(line).toMatch(/ 101 /);
  expect([a.peers.length, valuesOf(b.requests[0]!, 'upgrade')]).toEqual([0, ['websocket']]);
});
