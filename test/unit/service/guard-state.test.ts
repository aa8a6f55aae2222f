// What a guard has stopped stays stopped over a restart, by a file; a file that cannot be used is logged and stops nothing.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import type { Config } from '../../../src/config/options/document.ts';
import { GuardState } from '../../../src/service/guard-state.ts';
import { compileSplits } from '../../../src/split/own.ts';
import { Guards } from '../../../src/telemetry/guards.ts';
import { logLines } from '../../support/log-lines.ts';
import { configOf } from '../../support/splitter.ts';

let file: string;

beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'splitter-guard-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  file = join(folder, 'guards.json');
});

/** A process whose split s has a guard with this file; `share` is an option of the split. */
function start(share = '50%') {
  const { log, lines } = logLines();
  const guard = { errors: { worseBy: '1 point' }, stateFile: file };
  const variants = [
    { name: 'new', share, upstream: 'http://new' },
    { name: 'old', share: '*', upstream: 'http://old' },
  ];
  const config = configOf({
    splits: { s: { key: '$arg_a', variants, guard }, free: { key: '$arg_a', variants } },
    routes: [{ path: '/free', split: 'free' }, { split: 's' }],
  });
  const guards = new Guards({ stopped: () => undefined, ended: () => undefined });
  guards.configure(config);
  const reloads: Config[] = [];
  const plane = {
    guards,
    experiments: { onStops: (): void => undefined },
    generation: { config },
    reload: (next: Config) => {
      reloads.push(next);
      guards.configure(next);
    },
  };
  const state = new GuardState(plane, log);
  /** Lets the guard find that every key of `new` fails. */
  const stop = async () => {
    for (let key = 0; key < 1000; key++) {
      guards.countsOf('s')!.add(0, Math.imul(key + 1, 0x9e3779b1) >>> 0, true, 1);
      guards.countsOf('s')!.add(1, Math.imul(key + 1, 0x5bd1e995) >>> 0, false, 1);
    }
    const { splitters } = compileSplits(config, { stopOf: (name) => guards.stopOf(name) });
    expect(guards.look(splitters)).toBe(true);
    plane.experiments.onStops();
    await state.close();
  };
  return { guards, plane, state, lines, reloads, stop };
}

const isStopped = ({ guards }: { guards: Guards }) => guards.stopOf('s').isStopped;

it('a stop is written, and the next process begins with it and says so', async () => {
  await start().stop();
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
    version: 1,
    stops: [{ split: 's', variant: 'new' }],
  });
  const next = start();
  next.state.restore();
  expect(isStopped(next)).toBe(true);
  expect(next.lines).toEqual([
    expect.objectContaining({ level: 'error', msg: 'guard stops the split since before the start', file }),
  ]);
});

it('a stop of other options, of another split, or without its facts is left alone', async () => {
  await start().stop();
  const changed = start('40%');
  changed.state.restore();
  const saved = JSON.parse(readFileSync(file, 'utf8')) as { stops: Record<string, unknown>[] };
  const stops = [{ ...saved.stops[0], split: 'free' }, { split: 's' }, null, 7];
  writeFileSync(file, JSON.stringify({ version: 1, stops }));
  const other = start();
  other.state.restore();
  expect([isStopped(changed), isStopped(other), ...changed.lines, ...other.lines]).toEqual([false, false]);
});

it('an operator ends the stops by the next configuration that is accepted, also the same', async () => {
  const one = start();
  await one.stop();
  expect([one.state.end(), isStopped(one)]).toEqual([false, true]);
  one.state.askEnd();
  one.state.refuseEnd();
  expect([one.state.end(), isStopped(one)]).toEqual([false, true]);
  one.state.askEnd();
  expect([one.state.end(), isStopped(one)]).toEqual([true, false]);
  expect(one.reloads).toEqual([one.plane.generation.config]);
  // There is nothing left to end.
  one.state.askEnd();
  expect(one.state.end()).toBe(false);
  one.state.keep();
  await one.state.close();
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ version: 1, stops: [] });
});

it('a file that is not there is no problem, one that is no state is logged', () => {
  const none = start();
  none.state.restore();
  expect(none.lines).toEqual([]);
  for (const text of ['{', '{"version":2,"stops":[]}', '{"version":1}']) {
    writeFileSync(file, text);
    const one = start();
    one.state.restore();
    expect(one.lines).toEqual([
      expect.objectContaining({ msg: 'state of guards not read or written', file }),
    ]);
  }
});

it('a file that cannot be written is logged, and the split stays stopped', async () => {
  mkdirSync(file);
  const one = start();
  await one.stop();
  expect(one.lines).toEqual([
    expect.objectContaining({
      msg: 'state of guards not read or written',
      cause: 'expected a regular file, got a directory',
    }),
  ]);
  expect(isStopped(one)).toBe(true);
});
