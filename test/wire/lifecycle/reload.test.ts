// Dozens of reloads in the middle of traffic, through the watcher of the file: no request is lost, and each one is decided
// by one generation from its split to its upstream.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parseConfig } from '../../../src/config/parse.ts';
import { ConfigWatch } from '../../../src/service/watch.ts';
import { LibraryView } from '../../../src/split/request.ts';
import { Splitter } from '../../../src/split/splitter.ts';
import { type NamingUpstream, startNamingUpstream } from '../../support/naming-upstream.ts';
import { scaled } from '../../support/runs.ts';
import { configOf, startSplitter } from '../../support/splitter.ts';

const RELOADS = scaled(40);
const CONNECTIONS = 64;
/** Answers between a reload and the next change of the file. */
const ANSWERS_APART = 200;

/** One answered request: its token, what came back, and the generations that ran when it was sent and when it was answered. */
interface Answered {
  readonly token: string;
  readonly status: string;
  readonly body: string;
  readonly sentIn: number;
  readonly answeredIn: number;
}

/** Asks with one token after the other on a connection of its own until `isOver`; rejects when the connection ends. */
function askOn(
  port: number,
  name: string,
  generation: () => number,
  isOver: () => boolean,
  answered: (answer: Answered) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let number = 0;
    let token = '';
    let sentIn = 0;
    let held = '';
    const send = (): void => {
      token = `${name}-${number++}`;
      sentIn = generation();
      socket.write(`GET /?token=${token} HTTP/1.1\r\nHost: h\r\n\r\n`);
    };
    socket.setEncoding('latin1');
    socket.on('connect', send);
    socket.on('data', (text: string) => {
      held += text;
      const match = /^HTTP\/1\.1 (\d{3}) [\s\S]*?\r\nContent-Length: (\d+)\r\n[\s\S]*?\r\n\r\n/i.exec(held);
      if (match === null || held.length < match[0].length + Number(match[2])) return;
      const body = held.slice(match[0].length);
      held = '';
      answered({ token, status: match[1]!, body, sentIn, answeredIn: generation() });
      if (isOver()) socket.destroy();
      else send();
    });
    socket.on('error', reject);
    socket.on('close', () =>
      isOver() ? resolve() : reject(new Error(`the connection ended after ${token}`)),
    );
  });
}

/** Shares of the two generations that take turns: more than half of all tokens change their variant. */
const SHARES = ['20%', '75%'] as const;

describe('dozens of reloads under load', () => {
  it.each([
    ['the shares alone: connections to the upstreams live on', false],
    ['the shares and every upstream: the old ones finish what they have', true],
  ])('that change %s', async (_what, movesUpstreams) => {
    const upstreams = new Map<string, NamingUpstream>();
    for (const name of ['0a', '0b', '1a', '1b']) {
      const upstream = await startNamingUpstream(name);
      onTestFinished(() => upstream.close());
      upstreams.set(name, upstream);
    }
    const documentOf = (kind: number) => {
      const set = movesUpstreams ? kind : 0;
      const url = (name: string) => `http://127.0.0.1:${upstreams.get(`${set}${name}`)!.port}`;
      const variants = [
        { name: 'a', share: SHARES[kind], upstream: 'a' },
        { name: 'b', share: '*', upstream: 'b' },
      ];
      return {
        listen: '127.0.0.1:0',
        admin: 'off',
        upstreams: { a: { url: url('a') }, b: { url: url('b') } },
        splits: { s: { key: '$arg_token', variants } },
      };
    };
    const splitters = [0, 1].map((kind) => new Splitter('s', configOf(documentOf(kind)).splits.get('s')!));
    const variantIn = (kind: number, token: string) =>
      splitters[kind]!.decide(new LibraryView({ url: `/?token=${token}` })).variant!.name;

    const { ambassador, port } = await startSplitter(documentOf(1));
    const directory = mkdtempSync(join(tmpdir(), 'splitter-reload-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'splitter.yaml');
    // Generation n is of kind n % 2; an editor that renames writes it.
    const write = (number: number) => {
      writeFileSync(`${file}~`, JSON.stringify(documentOf(number % 2)));
      renameSync(`${file}~`, file);
    };
    let answers = 0;
    let nextWriteAt = ANSWERS_APART;
    write(1);
    const watch = new ConfigWatch(file, {
      settleMs: 1,
      onChange: (text) => {
        const outcome = parseConfig(text, file);
        ambassador.reload(outcome.config!);
        nextWriteAt = answers + ANSWERS_APART;
      },
      onUnreadable: () => expect.unreachable('the file is always there'),
    });
    onTestFinished(() => watch.close());
    await watch.start();

    const generation = () => ambassador.generation.number;
    const log: Answered[] = [];
    const isOver = () => generation() > RELOADS && answers >= nextWriteAt;
    await Promise.all(
      Array.from({ length: CONNECTIONS }, (_, index) =>
        askOn(port, `t${index}`, generation, isOver, (answer) => {
          log.push(answer);
          if (++answers === nextWriteAt && generation() <= RELOADS) write(generation() + 1);
        }),
      ),
    );

    expect(generation()).toBe(RELOADS + 1);
    expect(log.length).toBeGreaterThan(RELOADS * ANSWERS_APART);
    expect(log.filter(({ status }) => status !== '200')).toEqual([]);
    const wrong = log.filter(({ token, body, sentIn, answeredIn }) => {
      // Decided by any generation between the two; of one kind, when it is but one.
      const kinds = sentIn === answeredIn ? [sentIn % 2] : [0, 1];
      return !kinds.some((kind) => body === `${movesUpstreams ? kind : 0}${variantIn(kind, token)}`);
    });
    expect(wrong).toEqual([]);
    // The test can tell: both kinds answered, and most tokens would have gone elsewhere in the other one.
    const told = log.filter(({ token }) => variantIn(0, token) !== variantIn(1, token));
    expect(told.length).toBeGreaterThan(log.length / 3);
    const single = told.filter(({ sentIn, answeredIn }) => sentIn === answeredIn);
    // At most CONNECTIONS answers of each generation were asked for in the one before it.
    for (const kind of [0, 1]) {
      expect(single.filter(({ sentIn }) => sentIn % 2 === kind).length).toBeGreaterThan(10 * RELOADS);
    }
  });
});
