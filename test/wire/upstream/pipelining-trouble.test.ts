// `pool.pipelining` over an upstream that breaks, lies or is slow: whoever stands behind the trouble is sent again, alone
// and once, and what one exchange was answered reaches no other client. Sources: RFC 9112 §9.3.2, §9.6; RFC 9110 §9.2.2.
import { describe, expect, it, vi } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import type { RawClient } from '../../support/raw-client.ts';
import type { Peer, ScriptedUpstream } from '../../support/scripted-upstream.ts';
import { get, readAll, request, startShared, turns } from '../../support/shared-connection.ts';
import { startUpstream } from '../../support/splitter.ts';

const ok = (body: string, ...fields: string[]) =>
  `${['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...fields].join('\r\n')}\r\n\r\n${body}`;

const paths = (peer: Peer) => peer.requests.map(({ line }) => line.split(' ')[1]!);

/** The clients got their own answers from connections that each carried theirs alone. */
async function areSentAgain(clients: readonly RawClient[], upstream: ScriptedUpstream): Promise<void> {
  const wanted: string[] = [];
  for (const one of clients) {
    const { body } = await one.response();
    wanted.push(body.split(' ')[1]!);
    expect(one.pending).toBe('');
  }
  expect(upstream.peers.slice(1).map(paths).toSorted()).toEqual(wanted.map((path) => [path]).toSorted());
}

const three = [get('/0'), get('/1'), get('/2')];

describe('behind an upstream that goes away', () => {
  it.each([
    ['resets', (peer: Peer) => peer.reset()],
    ['ends', (peer: Peer) => peer.end()],
  ])('after the first answer (it %s) the others are sent again, and the first is not', async (_, leave) => {
    const { upstream, together, isOver, pipelinesNow } = await startShared(async (peer) => {
      await readAll(peer, 3);
      await peer.ok('answered');
      leave(peer);
    });
    const [first, ...others] = await together(...three);
    expect((await first!.response()).body).toBe('answered');
    await areSentAgain(others, upstream);
    expect(paths(upstream.peers[0]!)).toEqual(['/warm', '/0', '/1', '/2']);
    expect(upstream.lines.filter((line) => line.includes('/0'))).toHaveLength(1);
    await isOver(2);
    expect(await pipelinesNow()).toBe(false);
  });

  it('before any answer all are sent again', async () => {
    const { upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 3);
      peer.reset();
    });
    await areSentAgain(await together(...three), upstream);
    await isOver(3);
  });

  it('before the last answer that one is sent again, and nothing is pipelined for a while', async () => {
    const { upstream, together, isOver, pipelinesNow } = await startShared(async (peer) => {
      await readAll(peer, 2);
      await peer.ok('answered');
      peer.reset();
    });
    const [first, last] = await together(get('/0'), get('/1'));
    expect((await first!.response()).body).toBe('answered');
    await areSentAgain([last!], upstream);
    await isOver(1);
    expect(await pipelinesNow()).toBe(false);
  });

  it.each([
    ['with a length', ok('bye', 'Connection: close')],
    [
      'in chunks',
      'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbye\r\n0\r\n\r\n',
    ],
    ['in HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nbye'],
    ['and another answer all the same, which is nobody’s', `${ok('bye', 'Connection: close')}${ok('stray')}`],
  ])('as it says in its first answer (%s) the others are sent again', async (_, answer) => {
    const { upstream, together, isOver, pipelinesNow } = await startShared(async (peer) => {
      await readAll(peer, 3);
      await peer.send(answer);
    });
    const [first, ...others] = await together(...three);
    expect((await first!.response()).body).toBe('bye');
    await areSentAgain(others, upstream);
    expect(await upstream.peers[0]!.ended).toBeDefined();
    await isOver(2);
    expect(await pipelinesNow()).toBe(false);
  });

  it('to end its first answer with the connection the others are sent again', async () => {
    const { upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 3);
      await peer.send(`HTTP/1.1 200 OK\r\n\r\n${ok('looks like the next answer')}`);
      peer.end();
    });
    const [first, ...others] = await together(...three);
    expect((await first!.response()).body).toBe(ok('looks like the next answer'));
    await areSentAgain(others, upstream);
    await isOver(2);
  });

  it.each([
    ['a length', 'Content-Length: 10\r\n\r\nhello'],
    ['chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
  ])(
    'in the middle of its first answer (%s) that client sees a cut, and the others get whole answers',
    async (_, rest) => {
      for (const how of ['end', 'reset'] as const) {
        const { upstream, together, isOver } = await startShared(async (peer) => {
          await readAll(peer, 3);
          await peer.send(`HTTP/1.1 200 OK\r\n${rest}`);
          peer[how]();
        });
        const [first, ...others] = await together(...three);
        await expect(first!.response()).rejects.toThrow(/the connection ended/);
        await areSentAgain(others, upstream);
        await isOver(2);
      }
    },
  );

  it('behind an interim answer: its request was seen and gets 502, the others are sent again', async () => {
    const { upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 3);
      await peer.send('HTTP/1.1 103 Early Hints\r\n\r\n');
      peer.reset();
    });
    const [first, ...others] = await together(...three);
    expect(statusOf(await first!.response())).toBe(103);
    expect(valuesOf(await first!.response(), 'x-splitter-error')).toEqual(['UPSTREAM_RESET']);
    await areSentAgain(others, upstream);
    await isOver(2);
  });

  it('in the first byte of the second answer: that request was seen and gets 502, the third is sent again', async () => {
    const { upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 3);
      await peer.send(`${ok('answered')}H`);
      peer.reset();
    });
    const [first, second, third] = await together(...three);
    expect((await first!.response()).body).toBe('answered');
    expect(valuesOf(await second!.response(), 'x-splitter-error')).toEqual(['UPSTREAM_RESET']);
    await areSentAgain([third!], upstream);
    await isOver(1);
  });

  it('again when they are sent again: 502, and no third try', async () => {
    const { upstream, together, isOver } = await startShared(
      async (peer) => {
        await readAll(peer, 3);
        peer.reset();
      },
      {
        others: async (peer) => {
          await peer.request();
          peer.reset();
        },
      },
    );
    for (const one of await together(...three)) {
      const response = await one.response();
      expect([statusOf(response), ...valuesOf(response, 'x-splitter-error')]).toEqual([
        502,
        'UPSTREAM_RESET',
      ]);
    }
    expect(upstream.peers).toHaveLength(4);
    await isOver(3);
  });

  it('while nothing more can be connected: those that are sent again wait for their turn', async () => {
    const { upstream, together, isOver } = await startShared(
      async (peer) => {
        await readAll(peer, 3);
        await peer.ok('answered');
        peer.reset();
      },
      { pool: { maxConnections: 1 } },
    );
    const clients = await together(...three);
    expect((await clients[0]!.response()).body).toBe('answered');
    for (const path of ['/1', '/2'])
      expect((await clients[Number(path[1])]!.response()).body).toContain(path);
    expect(upstream.peers.map((peer) => paths(peer).toSorted())).toEqual([
      ['/0', '/1', '/2', '/warm'],
      ['/1', '/2'],
    ]);
    await isOver(2);
  });
});

describe('behind an answer that is no HTTP', () => {
  it.each([
    ['garbage', 'hello world\r\n\r\n', 'UPSTREAM_BAD_RESPONSE'],
    [
      'two lengths',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 40\r\n\r\na',
      'UPSTREAM_BAD_RESPONSE',
    ],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'UPSTREAM_BAD_RESPONSE',
    ],
    [
      'a switch of protocols',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      'UPSTREAM_BAD_RESPONSE',
    ],
    ['a flood', `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(40_000)}\r\n\r\n`, 'UPSTREAM_HEAD_TOO_LARGE'],
    ['interim answers without end', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(33), 'UPSTREAM_BAD_RESPONSE'],
  ])('(%s) the others are sent again', async (_, answer, code) => {
    const { upstream, together, isOver, pipelinesNow } = await startShared(async (peer) => {
      await readAll(peer, 3);
      await peer.send(answer + ok('stray') + ok('stray'));
    });
    const [first, ...others] = await together(...three);
    let response = await first!.response();
    while (statusOf(response) === 103) response = await first!.response();
    expect(valuesOf(response, 'x-splitter-error')).toEqual([code]);
    await areSentAgain(others, upstream);
    await isOver(2);
    expect(await pipelinesNow()).toBe(false);
  });

  it('(chunks that break) its client sees a cut, and the others are sent again', async () => {
    const { upstream, together, isOver, pipelinesNow } = await startShared(async (peer) => {
      await readAll(peer, 3);
      await peer.send(
        `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nX\r\n${ok('stray')}`,
      );
    });
    const [first, ...others] = await together(...three);
    await expect(first!.response()).rejects.toThrow(/the connection ended/);
    await areSentAgain(others, upstream);
    await isOver(2);
    expect(await pipelinesNow()).toBe(false);
  });
});

describe('behind an answer that takes longer than 100 ms', () => {
  it('the others are answered by connections of their own; the slow one still comes, and what comes late is nobody’s', async () => {
    const mayAnswer = Promise.withResolvers<void>();
    const { upstream, together, isOver, pipelinesNow } = await startShared(async (peer) => {
      await readAll(peer, 3);
      await mayAnswer.promise;
      await peer.send(ok('slow'), ok('late'), ok('later'));
    });
    const [slow, ...others] = await together(...three);
    const shared = await upstream.peer(0);
    await shared.untilText('/2');
    await turns(5);
    vi.advanceTimersByTime(101);
    await areSentAgain(others, upstream);
    expect([slow!.bytesReceived, shared.ending]).toEqual([0, null]);
    mayAnswer.resolve();
    expect((await slow!.response()).body).toBe('slow');
    expect(await shared.ended).toBeDefined();
    await turns(10);
    for (const one of [slow!, ...others]) expect([one.pending, one.ending]).toEqual(['', null]);
    await isOver(2);
    expect(await pipelinesNow()).toBe(false);
  });

  it('nobody is sent again before they have passed, nor those that were answered by then', async () => {
    const { upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 3);
      vi.advanceTimersByTime(99);
      await turns(20);
      await peer.send(ok('first'), ok('second'));
      vi.advanceTimersByTime(5);
      // The third stands in front now, and waits for nobody but itself.
      await turns(20);
      await peer.ok('third');
    });
    const clients = await together(...three);
    const bodies = [];
    for (const one of clients) bodies.push((await one.response()).body);
    expect(bodies).toEqual(['first', 'second', 'third']);
    expect(upstream.peers).toHaveLength(1);
    await isOver(0);
  });
});

describe('an address where pipelining went wrong', () => {
  it('rests from it for 30 seconds, and has it again then', async () => {
    const { upstream, together, isOver, pipelinesNow } = await startShared(async (peer) => {
      await readAll(peer, 2);
      peer.reset();
    });
    for (const one of await together(get('/0'), get('/1'))) expect(statusOf(await one.response())).toBe(200);
    await isOver(2);
    expect(await pipelinesNow()).toBe(false);
    vi.advanceTimersByTime(29_999);
    expect(await pipelinesNow()).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await pipelinesNow()).toBe(true);
    expect(upstream.lines.filter((line) => line.includes('/0'))).toHaveLength(2);
  });
});

describe('bytes that come before the gathered requests have left', () => {
  it.each([
    ['an idle connection', true, 0],
    ['one that requests were gathered for in this turn', false, 2],
  ])(
    'on %s are nobody’s answer: the connection ends and the requests go elsewhere',
    async (_, isEarly, retries) => {
      // An upstream that guesses when the next request comes, to have it answered with what it prepared.
      const { upstream, together, isOver } = await startShared(async (peer) =>
        peer.ended.then(() => undefined),
      );
      const shared = upstream.peers[0]!;
      if (isEarly) shared.socket.write(ok('forged'));
      const clients = await together(get('/0'), get('/1'));
      if (!isEarly) shared.socket.write(ok('forged'));
      await areSentAgain(clients, upstream);
      expect(await shared.ended).toBeDefined();
      expect(paths(shared)).toEqual(['/warm']);
      expect(shared.transcript.match(/GET/g)).toHaveLength(1);
      await isOver(retries);
    },
  );

  it('are no reason to refuse a POST: nothing of it was sent', async () => {
    const { upstream, together, isOver } = await startShared(async (peer) =>
      peer.ended.then(() => undefined),
    );
    const shared = upstream.peers[0]!;
    const [one] = await together(`${request('POST', '/0', 'Content-Length: 2')}ab`);
    shared.socket.write(ok('forged'));
    expect((await one!.response()).body).toBe('POST /0 HTTP/1.1');
    expect(upstream.peers[1]!.requests[0]!.body).toBe('ab');
    expect(shared.transcript).not.toContain('POST');
    await isOver(1);
  });
});

describe('what was sent already', () => {
  it('is not refused for want of room in the queue, when the client in front leaves and all have to wait again', async () => {
    const { upstream, together, isOver } = await startShared(async (peer) => void (await readAll(peer, 6)), {
      pool: { pipelining: 8, maxConnections: 1, maxQueued: 1 },
    });
    const clients = await together(...['/0', '/1', '/2', '/3', '/4', '/5'].map(get));
    const shared = upstream.peers[0]!;
    for (let turn = 0; turn < 1000 && shared.requests.length < 7; turn++) await turns(1);
    clients[0]!.reset();
    for (const [index, one] of clients.entries())
      if (index > 0) expect((await one.response()).body).toBe(`GET /${index} HTTP/1.1`);
    await isOver(5);
  });
});

describe('a request that was lost before anything of it had left', () => {
  it('still has the fallback, as no upstream has seen it', async () => {
    const other = await startUpstream(async (peer) => {
      await peer.request();
      await peer.ok('fallback');
    });
    const { upstream, together } = await startShared(async (peer) => peer.ended.then(() => undefined), {
      settings: { onDown: { fallback: other.url } },
    });
    const shared = upstream.peers[0]!;
    // In one turn: a request is gathered on the idle connection, then its end is read; nobody listens any more.
    const clients = await together(get('/0'));
    const closed = upstream.close();
    shared.end();
    const response = await clients[0]!.response();
    expect(response.body).toBe('fallback');
    expect(valuesOf(response, 'x-splitter-fallback')).toHaveLength(1);
    await closed;
  });
});
