// `fleet`: asks admin ports that are real, of splitters that the test has made, and says what all of them have counted.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startAdmin } from '../../src/admin/server.ts';
import type { StatusV1 } from '../../src/admin/status.ts';
import { runCommand } from '../support/command.ts';
import { freePort } from '../support/free-port.ts';
import { RunningCommand } from '../support/running-command.ts';
import { startSplitter, startUpstream } from '../support/splitter.ts';

/** A pod that has answered `requests` requests; its address. */
async function startPod(requests: number): Promise<string> {
  const upstream = await startUpstream();
  const splitter = await startSplitter({
    splits: {
      s: {
        key: '$arg_token',
        variants: [
          { name: 'a', share: '50%', upstream: upstream.url },
          { name: 'b', share: '*', upstream: upstream.url },
        ],
      },
    },
  });
  const client = await splitter.client();
  for (let token = 0; token < requests; token += 1) {
    await client.send(`GET /?token=${token} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.message();
  }
  const admin = await startAdmin(splitter.ambassador, { host: '127.0.0.1', port: 0, path: null });
  onTestFinished(() => admin.close());
  return new URL(admin.address).host;
}

interface Samples {
  process: string;
  splits: { sample: string }[];
}

/** What a pod answers to /samples, as if another process had counted it: pods are told apart by their process. */
async function samplesOf(pod: string): Promise<Samples> {
  const samples = (await (await fetch(`http://${pod}/samples`)).json()) as Samples;
  return { ...samples, process: `${samples.process}-of-${pod}` };
}

/** An address that answers /samples like this. */
async function startStranger(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

test('adds up pods: a key of both is one key, a request is a request', async () => {
  const smaller = await samplesOf(await startPod(30));
  const pods = [
    await startPod(40),
    await startStranger((_, response) => void response.end(JSON.stringify(smaller))),
  ];
  const { code, out } = await runCommand(['fleet', ...pods, '--json']);
  expect(code).toBe(0);
  const { fleet, splits } = JSON.parse(out) as StatusV1;
  expect(fleet).toMatchObject({ answering: 2, problems: [] });
  expect(fleet!.pods.map(({ requests }) => requests).sort()).toEqual([30, 40]);
  const [split] = splits;
  expect(Math.round(split!.variants.reduce((sum, { uniqueKeys }) => sum + uniqueKeys, 0))).toBe(40);
  expect(split!.variants.reduce((sum, { sample }) => sum + sample.requests, 0)).toBe(70);
  const shown = await runCommand(['fleet', pods.join(',')]);
  expect(shown.code).toBe(0);
  expect(shown.out).toContain(`fleet ${pods.join(',')}: 2 of 2 pods answer, 2 configurations`);
  expect(shown.out).toMatch(/^ {2}a +50\.00 %/m);
  expect(shown.out).toMatch(new RegExp(`^ {2}${pods[1]} .* 30\\s*$`, 'm'));
});

test('says of each address why it is no use, and ends with 1 when none is', async () => {
  const gone = `127.0.0.1:${await freePort()}`;
  const strangers: [string, string][] = [
    [gone, 'connection refused'],
    [
      await startStranger((_, response) => void response.writeHead(404).end()),
      'it has no /samples: an older version',
    ],
    [await startStranger((_, response) => void response.writeHead(503).end()), 'it answered 503 to /samples'],
    [await startStranger((_, response) => void response.end('hello')), 'its answer is not JSON'],
    [
      await startStranger((_, response) => void response.end('{"version":2}')),
      'its answer has another version',
    ],
    [
      await startStranger((_, response) => void response.end('{"version":1,"splits":[],"program":"9.9.9"}')),
      'it runs version 9.9.9, this is',
    ],
    [await startStranger((_, response) => void response.destroy()), 'other side closed'],
  ];
  const { code, out } = await runCommand(['fleet', ...strangers.map(([address]) => address), '--json']);
  expect(code).toBe(1);
  const { fleet } = JSON.parse(out) as StatusV1;
  expect(fleet!.answering).toBe(0);
  for (const [address, problem] of strangers) {
    const pod = fleet!.pods.find((one) => one.address === address);
    expect(pod?.problem).toContain(problem);
  }
  const shown = await runCommand(['fleet', gone]);
  expect([shown.code, shown.out]).toEqual([1, expect.stringContaining('0 of 1 pods answer')]);
});

test('a sample that is damaged is the problem of its pod alone', async () => {
  const pod = await startPod(5);
  const good = await samplesOf(pod);
  good.splits[0]!.sample = 'AAAA';
  const damaged = await startStranger((_, response) => void response.end(JSON.stringify(good)));
  const { code, out } = await runCommand(['fleet', pod, damaged, '--json']);
  expect(code).toBe(0);
  const { fleet } = JSON.parse(out) as StatusV1;
  const problems = new Map(fleet!.pods.map(({ address, problem }) => [address, problem]));
  expect(problems.get(pod)).toBeNull();
  expect(problems.get(damaged)).toContain('its sample cannot be read');
});

test.each([
  [['fleet', 'no port:x'], 'NAME: expected a name or address'],
  [['fleet', 'pods', '--interval', '0s'], '--interval: expected seconds from 1 to 3600, got "0s"'],
  [['fleet', 'pods', '--interval', 'soon'], '--interval: expected seconds'],
  [['fleet', 'pods', '--state', ''], '--state: expected the path of a file, got ""'],
  [['fleet', 'pods', '--listen', 'there'], '--listen: expected '],
])('%j is wrong usage', async (words, sentence) => {
  const { code, err } = await runCommand(words);
  expect([code, err]).toEqual([2, expect.stringContaining(sentence)]);
});

test('--watch asks again and again until a signal', async () => {
  const pod = await startPod(3);
  const run = new RunningCommand(['fleet', pod, '--watch', '--interval', '1s']);
  await run.says(/(?:1 of 1 pods answer[\s\S]*){2}/);
  run.signal('SIGHUP');
  run.signal('SIGINT');
  expect(await run.ended).toBe(0);
  const lines = new RunningCommand(['fleet', pod, '--watch', '--json', '--interval', '1s']);
  const [line] = await lines.says(/^.*\n/);
  expect(JSON.parse(line)).toMatchObject({ fleet: { answering: 1 } });
});

test('--state keeps what was found for the next process, and a file that cannot be used is a sentence', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-state-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const pod = await startPod(30);
  const file = join(folder, 'alarms.json');
  expect(await runCommand(['fleet', pod, '--state', file])).toMatchObject({ code: 0 });
  const kept = JSON.parse(readFileSync(file, 'utf8')) as { splits: { evidence: { alarms: unknown[] } }[] };
  expect(kept).toMatchObject({ version: 1, splits: [{ split: 's' }] });
  const sentence = 'the sample cannot be trusted: b has 9.0 % fewer users than its share';
  const alarm = {
    trouble: 'shares',
    level: 'stop',
    variant: 'b',
    sentence,
    logEvidence: 9,
    sinceMs: 1,
    isPresent: true,
  };
  kept.splits[0]!.evidence.alarms.push(alarm);
  writeFileSync(file, JSON.stringify(kept));
  const again = await runCommand(['fleet', pod, '--state', file]);
  expect(again).toMatchObject({
    code: 1,
    out: expect.stringContaining(`no longer in the numbers of now: ${sentence}`),
  });
  expect(readFileSync(file, 'utf8')).toContain(sentence);
  writeFileSync(file, '{}');
  const damaged = await runCommand(['fleet', pod, '--state', file]);
  expect(damaged).toMatchObject({ code: 0, out: expect.stringContaining('expected alarms of version 1') });
  const nowhere = await runCommand(['fleet', pod, '--state', join(folder, 'missing', 'alarms.json')]);
  expect(nowhere).toMatchObject({ code: 0, out: expect.stringContaining('ENOENT') });
});

test('--listen serves the page, numbers and probes of the fleet', async () => {
  const pod = await startPod(3);
  const run = new RunningCommand(['fleet', pod, '--listen', '127.0.0.1:0', '--interval', '1s']);
  const [, address] = await run.says(/is at (http\S+)\n/);
  const answer = (path: string, headers = {}) => fetch(`${address}${path}`, { headers });
  expect(await (await answer('/healthz')).text()).toContain('ok');
  const ready = async () => (await answer('/readyz')).text();
  await expect.poll(ready, { timeout: 30_000 }).toMatch(/^ready\n/);
  expect(await (await answer('/status')).json()).toMatchObject({ fleet: { answering: 1 } });
  expect(await (await answer('/status.csv')).text()).toContain('variant');
  expect(await (await answer('/metrics')).text()).toContain('splitter_');
  expect(await (await answer('/history')).json()).toBeTypeOf('object');
  expect(await (await answer(`/history?since=${Date.now() - 1}`)).json()).toBeTypeOf('object');
  expect((await answer('/')).headers.get('content-type')).toContain('text/html');
  const missing = await answer('/explain');
  expect([missing.status, await missing.text()]).toEqual([404, expect.stringContaining('/status.csv')]);
  run.signal('SIGTERM');
  expect(await run.ended).toBe(0);
});

test('--listen is not ready when no pod answers, and does not start on an address that is taken', async () => {
  const gone = `127.0.0.1:${await freePort()}`;
  const run = new RunningCommand(['fleet', gone, '--listen', '127.0.0.1:0']);
  const [, address] = await run.says(/is at (http\S+)\n/);
  const ready = async () => (await fetch(`${address}/readyz`)).text();
  await expect.poll(ready, { timeout: 30_000 }).toBe('not ready: no pod answers\n');
  const again = await runCommand(['fleet', gone, '--listen', new URL(address!).host]);
  expect([again.code, again.err]).toEqual([1, expect.stringContaining('--listen: ')]);
});
