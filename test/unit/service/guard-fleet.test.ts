// Following a fleet: its orders reach the guards, and a fleet that is silent, broken or does not count this process is named
// once, and once more when it is back.
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/parse.ts';
import { GuardFleet } from '../../../src/service/guard-fleet.ts';
import type { FleetOrder } from '../../../src/telemetry/guard-report.ts';
import { Guards } from '../../../src/telemetry/guards.ts';
import { processId } from '../../../src/telemetry/process-id.ts';
import { NamedServer } from '../../support/named-server.ts';

async function following() {
  const server = await NamedServer.listen('fleet');
  const url = `http://127.0.0.1:${server.port}`;
  const guards = new Guards({ stopped: () => undefined, ended: () => undefined });
  const use = (guard: string) => {
    const text = `splits:
  s:
    guard: ${guard}
    variants: [{ name: new, share: 50%, upstream: 'http://new' }, { name: old, share: '*', upstream: 'http://old' }]
`;
    guards.configure(parseConfig(text, 'f.yaml').config!);
  };
  use(`{ errors: {}, fleet: "${url}" }`);
  const lines: { msg: string; cause?: string }[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const heard: FleetOrder[][] = [];
  const experiments = {
    obeyFleet: (_: string, orders: readonly FleetOrder[]) => void heard.push([...orders]),
  };
  const follower = new GuardFleet({ guards, experiments }, log, 1000, 0);
  return { server, url, use, lines, heard, follower };
}

const ORDER = {
  split: 's',
  options: '0123',
  shareSteps: 0,
  windows: 2,
  window: 2 ** 33,
  slowMs: null,
  endedAtMs: null,
  stop: null,
  isCounted: true,
} as const;

const answerOf = (guards: readonly unknown[], version = 1) => JSON.stringify({ version, guards });

it('asks with its own process and passes the orders on', async () => {
  const { server, heard, follower, lines } = await following();
  server.answer = (_, response) => void response.end(answerOf([ORDER, { ...ORDER, slowMs: 12, stop: 'x' }]));
  await Promise.all([follower.ask(), follower.ask()]);
  expect(server.asked).toEqual([`/guards?process=${processId()}`]);
  expect(heard).toEqual([[ORDER, { ...ORDER, slowMs: 12 }]]);
  expect(lines).toEqual([]);
});

it.each([
  ['does not know the path', 404, 'x', 'it has no /guards: an older version'],
  ['refuses', 403, 'another name', 'it answered 403: another name'],
  ['is another one', 200, answerOf([], 2), 'its answer has another version'],
  ['talks nonsense', 200, answerOf([{ split: 1 }]), 'its answer holds what is no order'],
  ['is too large', 200, ' '.repeat(2 ** 20 + 1), 'its answer is larger than 1048576 bytes'],
  ['has not counted this process', 200, answerOf([{ ...ORDER, isCounted: false }]), /it has not counted/],
])('a fleet that %s is named once, and once more when it is back', async (_, status, body, cause) => {
  const { server, follower, lines } = await following();
  server.answer = (__, response) => void response.writeHead(status).end(body);
  await follower.ask();
  await follower.ask();
  expect(lines.map(({ msg }) => msg)).toEqual(['fleet is silent: guards judge this process alone']);
  expect(lines[0]!.cause).toMatch(cause);
  server.answer = (__, response) => void response.end(answerOf([ORDER]));
  await follower.ask();
  await follower.ask();
  expect(lines.map(({ msg }) => msg).slice(1)).toEqual(['fleet judges the guards again']);
});

it('a fleet that is gone is named with its cause, and forgotten with the last guard that names it', async () => {
  const { server, use, follower, lines } = await following();
  await server.close();
  await follower.ask();
  expect(lines[0]).toMatchObject({ cause: expect.stringContaining('ECONNREFUSED') });
  use('{ errors: {} }');
  await follower.ask();
  expect(lines.length).toBe(1);
  follower.start();
  follower.stop();
});
