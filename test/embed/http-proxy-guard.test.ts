// A guard in the handler of a Node server: it counts requests and tunnels, stops a variant, says so, and refuses what only the
// program offers.
import { once } from 'node:events';
import { expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import { createHandler, type HandlerGuardStop } from '../../src/http-proxy.ts';
import { createSplitter } from '../../src/index.ts';
import { freePort } from '../support/free-port.ts';
import { HandlerServer } from '../support/handler-server.ts';
import { NamedServer } from '../support/named-server.ts';

const GUARD = { errors: { worseBy: '1 point' }, minimumKeys: 20 };

async function guarded(bad: string, guard: object = GUARD) {
  const good = await NamedServer.listen('good');
  const stopped = Promise.withResolvers<HandlerGuardStop>();
  const variants = [
    { name: 'new', share: '50%', upstream: bad },
    { name: 'old', share: '*', upstream: `http://127.0.0.1:${good.port}` },
  ];
  const server = await HandlerServer.start({ variants, guard }, { onGuardStop: stopped.resolve });
  return { server, good, stopped: stopped.promise };
}

const url = (server: HandlerServer, token: number) => `http://127.0.0.1:${server.port}/?token=${token}`;
const ask = (server: HandlerServer, first: number, count: number) =>
  Promise.all(
    Array.from({ length: count }, async (_, token) => (await fetch(url(server, first + token))).text()),
  );

it('a variant that fails is stopped, said once, and every key gets the control', async () => {
  const bad = await NamedServer.listen('bad');
  bad.answer = (request, response) => {
    response.statusCode = /[0-4]$/.test(request.url!) ? 503 : 200;
    response.end('bad');
  };
  const { server, stopped } = await guarded(`http://127.0.0.1:${bad.port}`);
  await ask(server, 0, 200);
  expect(await stopped).toMatchObject({ variant: 'new', against: 'old', kind: 'errors', againstValue: 0 });
  expect(new Set(await ask(server, 0, 40))).toEqual(new Set(['good']));
});

it('an upstream that refuses connections counts, for requests and for upgrades', async () => {
  const { server, stopped } = await guarded(`http://127.0.0.1:${await freePort()}`);
  for (let token = 0; token < 60; token++) {
    const socket = new WebSocket(url(server, token).replace('http', 'ws'));
    await once(socket, 'error');
  }
  await ask(server, 0, 120);
  expect(await stopped).toMatchObject({ variant: 'new', value: expect.closeTo(1, 1) });
});

it('what the handler cannot keep is refused when it is made, and so is a guard where nothing is counted', () => {
  const variants = [
    { name: 'a', share: '50%', upstream: 'http://a' },
    { name: 'b', share: '*', upstream: 'http://b' },
  ];
  const guard = { ...GUARD, stateFile: '/tmp/x', fleet: 'http://fleet:9902' };
  expect(() => createHandler({ variants, guard })).toThrow(
    /guard\.stateFile: expected nothing, because only the program offers it.*\n.*guard\.fleet: expected nothing/,
  );
  expect(() => createSplitter({ variants, guard: GUARD })).toThrow(
    /guard: expected nothing, because nothing here counts how exchanges end, got a guard/,
  );
});

it('without a listener a stop is a warning of the process', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
  onTestFinished(() => warn.mockRestore());
  const { warnOfStop } = await import('../../src/embed/guard.ts');
  warnOfStop({
    variant: 'new',
    against: 'old',
    kind: 'slow',
    value: 20,
    againstValue: 10,
    keys: 200,
    againstKeys: 200,
    at: '2026-11-27T00:00:00.000Z',
  });
  expect(warn).toHaveBeenCalledWith(
    expect.stringContaining('the guard stopped the split: new is worse than old'),
  );
});
