// `balance: key` on the wire: one token, one server, in two processes and beside a server that fails; another key than the
// split's; nothing by key where there is no key; and the queue of a full pool.
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../support/free-port.ts';
import { statusOf } from '../../support/message.ts';
import { RawClient } from '../../support/raw-client.ts';
import { type Script, ScriptedUpstream } from '../../support/scripted-upstream.ts';
import { type RunningSplitter, startSplitter, startUpstream } from '../../support/splitter.ts';

const naming =
  (name: string): Script =>
  async (peer) => {
    for (;;) {
      await peer.request();
      await peer.ok(name);
    }
  };

const namesOf = (count: number) => Array.from({ length: count }, (_, at) => `server-${at}`);

const startServers = (count: number) =>
  Promise.all(namesOf(count).map((name) => startUpstream(naming(name))));

const document = (servers: readonly { readonly url: string }[], balance: unknown, more: object = {}) => ({
  upstreams: { u: { servers: servers.map(({ url }) => ({ url })), balance, ...more } },
  splits: {
    s: {
      key: '$arg_token',
      variants: [
        { name: 'a', share: '50%', upstream: 'u' },
        { name: 'b', share: '*', upstream: 'u' },
      ],
    },
  },
});

/** The server that each of so many tokens reaches, asked in order. */
async function mapOf(splitter: RunningSplitter, tokens: number, fields = ''): Promise<string[]> {
  const client = await splitter.client();
  const names: string[] = [];
  for (let token = 0; token < tokens; token++)
    names.push((await client.ask(`GET /?token=t${token} HTTP/1.1\r\nHost: h\r\n${fields}\r\n`)).body);
  return names;
}

describe('balance: key', () => {
  it('sends each token to one server, the same in two processes, whatever the order of the list', async () => {
    const servers = await startServers(4);
    const first = await startSplitter(document(servers, 'key'));
    const second = await startSplitter(document([...servers].reverse(), { maxSkew: 2 }));
    const names = await mapOf(first, 60);
    expect(await mapOf(first, 60)).toEqual(names);
    expect(await mapOf(second, 60)).toEqual(names);
    expect(new Set(names)).toEqual(new Set(namesOf(4)));
  });

  it('moves only the tokens of a server that is gone, and back when it returns', async () => {
    const port = await freePort();
    const others = await startServers(3);
    const start = () => ScriptedUpstream.listen(naming('returning'), port);
    const returning = await start();
    const eject = { failures: 1, time: '10ms', timeMax: '10ms' };
    const splitter = await startSplitter(
      document([...others, { url: `http://127.0.0.1:${port}` }], 'key', {
        eject,
        pool: { idleTimeout: '1ms' },
      }),
    );
    const before = await mapOf(splitter, 60);
    await returning.close();
    const during = await mapOf(splitter, 60);
    expect(during.every((name, at) => before[at] === 'returning' || name === before[at])).toBe(true);
    expect(during).not.toContain('returning');
    const back = await start();
    onTestFinished(() => back.close());
    await expect.poll(() => mapOf(splitter, 60), { timeout: 20_000 }).toEqual(before);
  });

  it('goes by another key where the upstream has one, and by load where a request has none', async () => {
    const servers = await startServers(4);
    const splitter = await startSplitter(document(servers, { key: '$cookie_sid' }));
    expect(new Set(await mapOf(splitter, 30, 'Cookie: sid=1\r\n')).size).toBe(1);
    expect(new Set(await mapOf(splitter, 60)).size).toBe(4);
  });

  it('has exchanges of a full pool wait for their own server', async () => {
    const servers = await startServers(3);
    const splitter = await startSplitter(document(servers, 'key', { pool: { maxConnections: 2 } }));
    const expected = await mapOf(splitter, 40);
    const clients = await Promise.all(expected.map(() => RawClient.connect(splitter.port)));
    onTestFinished(() => Promise.all(clients.map((client) => client.close())).then(() => undefined));
    const answers = await Promise.all(
      clients.map((client, token) => client.ask(`GET /?token=t${token} HTTP/1.1\r\nHost: h\r\n\r\n`)),
    );
    expect(answers.map(statusOf)).toEqual(expected.map(() => 200));
    expect(answers.map(({ body }) => body)).toEqual(expected);
  });
});
