// An answer that is longer or shorter than it says, in front of others on one connection: what response splitting and
// response smuggling aim at, for on a pipelined connection the next client's answer stands right behind. Whoever shares a
// connection is protected by the framing alone; where that is a lie that reads as honest HTTP, `pool.pipelining` trusts the
// upstream (it is 1 by default), and these tests show how far the lie gets.
import { describe, expect, it } from 'vitest';
import { statusOf } from '../../support/message.ts';
import type { Peer } from '../../support/scripted-upstream.ts';
import { get, readAll, startShared, turns } from '../../support/shared-connection.ts';

const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (...parts: string[]) =>
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n\r\n`;
const FORGED = ok('forged');

/** Each piece arrives as a read of its own; then whole, then in single bytes. */
const waysToSend = (...pieces: string[]) => [pieces, [pieces.join('')], [...pieces.join('')]];

describe('a body that looks like the next answer', () => {
  // An uploaded file with an answer in it: whoever reads it as the start of an answer serves it to another client.
  it.each([
    ['of a length', ok(FORGED), FORGED],
    ['of a length, all of it answers', ok(FORGED.repeat(40)), FORGED.repeat(40)],
    ['of one chunk', chunked(FORGED), FORGED],
    ['with the last chunk in it', chunked(`\r\n0\r\n\r\n${FORGED}`), `\r\n0\r\n\r\n${FORGED}`],
    ['of chunks cut where the forged answer begins', chunked('a', FORGED, FORGED), `a${FORGED}${FORGED}`],
  ])('%s stays its own client’s, wherever the reads are cut', async (_, answer, body) => {
    const headEnd = answer.indexOf('\r\n\r\n') + 4;
    const forgedAt = answer.indexOf(FORGED);
    const pieces = [answer.slice(0, headEnd), answer.slice(headEnd, forgedAt), answer.slice(forgedAt)];
    for (const way of waysToSend(...pieces.filter((piece) => piece !== ''), ok('honest'))) {
      const { upstream, together, isOver } = await startShared(async (peer) => {
        await readAll(peer, 2);
        await peer.send(...way);
      });
      const [attacker, other] = await together(get('/upload'), get('/other'));
      expect((await attacker!.response()).body).toBe(body);
      expect((await other!.response()).body).toBe('honest');
      expect(upstream.peers).toHaveLength(1);
      await isOver(0);
    }
  });
});

describe('more than was announced', () => {
  // The surplus stands where the next client's answer should begin. What is no answer is not theirs, and they are not the
  // ones to pay for it: their requests are sent again, alone.
  it.each([
    ['behind a length', get('/0'), `${ok('hello')} and the secret of the first client`],
    ['behind chunks', get('/0'), `${chunked('hello')}secret\r\n0\r\n\r\n`],
    ['an empty line behind the body', get('/0'), `${ok('hello')}\r\n`],
    ['a body of 204', get('/0'), 'HTTP/1.1 204 No Content\r\nContent-Length: 10\r\n\r\nsecret\r\n\r\n'],
    ['a body of 304', get('/0'), 'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\nsecret\r\n\r\n'],
    [
      'a switch of protocols',
      get('/0'),
      `${ok('hello')}HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nsecret`,
    ],
  ])('(%s) reaches nobody, and those behind it get their own answers', async (_, first, answer) => {
    for (const way of waysToSend(answer, ok('one') + ok('two'))) {
      const { upstream, together, isOver, pipelinesNow } = await startShared(async (peer) => {
        await readAll(peer, 3);
        await peer.send(...way);
      });
      const [liar, ...others] = await together(first, get('/1'), get('/2'));
      expect(statusOf(await liar!.response(first.split(' ')[0]))).toBeLessThan(305);
      for (const [index, one] of others.entries()) {
        expect((await one.response()).raw).toContain(`GET /${index + 1} HTTP/1.1`);
        expect([one.pending, one.ending]).toEqual(['', null]);
      }
      expect(await upstream.peers[0]!.ended).toBeDefined();
      await isOver(2);
      expect(await pipelinesNow()).toBe(false);
    }
  });

  it('behind the last answer makes the connection unfit: the next request goes elsewhere', async () => {
    // Both in the read that ends the last answer and in one that comes later.
    for (const way of waysToSend(ok('0') + ok('1'), FORGED)) {
      const { client, upstream, together, isOver } = await startShared(async (peer) => {
        await readAll(peer, 2);
        await peer.send(...way);
      });
      const clients = await together(get('/0'), get('/1'));
      for (const [index, one] of clients.entries()) expect((await one.response()).body).toBe(`${index}`);
      await upstream.peers[0]!.ended;
      for (const one of [client, ...clients])
        expect((await one.ask(get('/next'))).body).toBe('GET /next HTTP/1.1');
      for (const one of clients) expect(one.pending).toBe('');
      await isOver(0);
    }
  });

  it('that is a whole answer is read as the next one: no framing can tell, but nobody beyond this connection gets it', async () => {
    // Two answers for one request. The second client gets what the upstream said second; its own answer is then the third
    // one's, and what is left over ends the connection. No request that comes later is answered from it.
    const { client, upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 3);
      await peer.send(ok('0') + FORGED + ok('1') + ok('2'));
    });
    const clients = await together(get('/0'), get('/1'), get('/2'));
    const bodies = [];
    for (const one of clients) bodies.push((await one.response()).body);
    expect(bodies).toEqual(['0', 'forged', '1']);
    expect(await upstream.peers[0]!.ended).toBeDefined();
    for (const one of [client, ...clients])
      expect((await one.ask(get('/next'))).body).toBe('GET /next HTTP/1.1');
    await isOver(0);
  });

  it('that is a whole answer reaches nobody where pool.pipelining is 1', async () => {
    const { upstream, together, isOver } = await startShared(
      async (peer) => {
        await peer.request();
        await peer.send(ok('0') + FORGED);
      },
      { pool: { pipelining: 1 } },
    );
    const [one, other] = await together(get('/0'), get('/1'));
    expect((await one!.response()).body).toBe('0');
    expect((await other!.response()).body).toBe('GET /1 HTTP/1.1');
    await upstream.peers[0]!.ended;
    await isOver(0);
  });
});

describe('less than was announced', () => {
  it('takes the next answer for its rest: the first client gets a body of its length, the others are sent again', async () => {
    // The length of the first answer covers the head of the second. Its client is lied to by its own upstream; the second
    // must not get the part that is left.
    const second = ok('second');
    const { upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 2);
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${5 + second.length - 6}\r\n\r\nhello`, second);
    });
    const [first, other] = await together(get('/0'), get('/1'));
    expect((await first!.response()).body).toBe(`hello${second.slice(0, -6)}`);
    expect((await other!.response()).body).toBe('GET /1 HTTP/1.1');
    expect(await upstream.peers[0]!.ended).toBeDefined();
    expect(other!.pending).toBe('');
    await isOver(1);
  });

  it('ends with the connection where it takes up all of the next answers, and those are sent again', async () => {
    const { upstream, together, isOver } = await startShared(async (peer) => {
      await readAll(peer, 3);
      await peer.send('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n', ok('1'), ok('2'));
      peer.end();
    });
    const [first, ...others] = await together(get('/0'), get('/1'), get('/2'));
    await expect(first!.response()).rejects.toThrow(/the connection ended/);
    for (const [index, one] of others.entries())
      expect((await one.response()).body).toBe(`GET /${index + 1} HTTP/1.1`);
    expect(upstream.peers).toHaveLength(3);
    await isOver(2);
  });
});

describe('a request that hides another one', () => {
  it('in its target or a field is refused before it can stand among pipelined ones', async () => {
    // Its surplus would be answered in the place of the next client's request.
    const forged = 'GET /forged HTTP/1.1\r\nHost: h\r\n\r\n';
    for (const attack of [
      `GET /a HTTP/1.1\nHost: h\n\n${forged}`,
      `GET /a HTTP/1.1\r\nHost: h\r\nA: b\n\n${forged}`,
      `GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: ${forged.length}\r\n\r\n${forged}`,
    ]) {
      const echo = async (peer: Peer) => {
        for (;;) await peer.ok((await peer.request()).line);
      };
      const { upstream, together, isOver } = await startShared(echo);
      const [attacker, ...others] = await together(attack, get('/1'), get('/2'));
      expect(statusOf(await attacker!.response())).toBe(400);
      for (const [index, one] of others.entries())
        expect((await one.response()).body).toBe(`GET /${index + 1} HTTP/1.1`);
      await turns(10);
      expect(upstream.transcript).not.toContain('forged');
      expect(upstream.peers).toHaveLength(1);
      await isOver(0);
    }
  });
});
