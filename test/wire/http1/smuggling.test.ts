// Attacks on the boundary between two messages. Every test explains the attack, sends raw bytes, and asserts that the
// honest request arrived and the forged one did not. In all of them "/forged" stands for what the attacker wants some
// upstream to see as a request of its own, or some client to see as its response.
// Sources: RFC 9112 §11; "HTTP Desync Attacks" (Kettle 2019), "TERM.EXT" (Kettle and others 2025).
import { describe, expect, it } from 'vitest';
import type { FaultCode } from '../../../src/errors.ts';
import { statusOf, valuesOf } from '../../support/message.ts';
import { startLine, startSplitter, startUpstream } from '../../support/splitter.ts';

const FORGED = 'GET /forged HTTP/1.1\r\nHost: h\r\n\r\n';
const HONEST = 'GET /honest HTTP/1.1\r\nHost: h\r\n\r\n';

/**
 * Sends the attack in one piece and in single bytes, over a connection of its own: it has to be refused with this
 * status and code, its connection closed, nothing of it seen upstream, and an honest client served afterwards.
 */
async function isRefused(attack: string, status: number, code: FaultCode): Promise<void> {
  for (const pieces of [[attack], [...attack]]) {
    const { client, upstream, splitter } = await startLine();
    const response = await client.ask(...pieces);
    expect(statusOf(response)).toBe(status);
    expect(valuesOf(response, 'x-splitter-error')).toEqual([code]);
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    await client.ended;
    expect(client.pending, 'nothing behind the refusal').toBe('');
    const other = await splitter.client();
    expect((await other.ask(HONEST)).body).toBe('GET /honest HTTP/1.1');
    expect(upstream.lines).toEqual(['GET /honest HTTP/1.1']);
    expect(upstream.transcript).not.toContain('/forged');
  }
}

describe('a length and chunks together', () => {
  it('CL.TE: a front that believes the length passes the forged request on inside the body', () =>
    isRefused(
      `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${5 + FORGED.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${FORGED}`,
      400,
      'LENGTH_AND_CHUNKED',
    ));

  it('TE.CL: a front that believes the chunks passes the forged request on inside a chunk', () =>
    isRefused(
      `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${FORGED.length.toString(16)}\r\n${FORGED}\r\n0\r\n\r\n`,
      400,
      'LENGTH_AND_CHUNKED',
    ));

  it('CL.0: a length of zero in front of chunks', () =>
    isRefused(
      `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${FORGED}`,
      400,
      'LENGTH_AND_CHUNKED',
    ));
});

describe('two lengths', () => {
  it.each([
    ['that differ', 'Content-Length: 0\r\nContent-Length: 36'],
    ['that are equal', 'Content-Length: 36\r\nContent-Length: 36'],
    ['in one field', 'Content-Length: 36, 36'],
    ['one of them in other case', 'Content-Length: 0\r\ncontent-length: 36'],
  ])('%s: one reader takes the first, the other the last', (_, lengths) =>
    isRefused(`POST / HTTP/1.1\r\nHost: h\r\n${lengths}\r\n\r\n${FORGED}`, 400, 'BAD_CONTENT_LENGTH'),
  );
});

describe('a length that two readers read in two ways', () => {
  it.each([
    ['a plus', '+36'],
    ['a minus', '-36'],
    ['hex', '0x24'],
    ['an overflow that wraps to 36', '18446744073709551652'],
    ['a letter behind', '36a'],
    ['white space inside', '3 6'],
    ['an underscore', '3_6'],
    ['a fraction', '36.0'],
    ['nothing', ''],
  ])('%s', (_, value) =>
    isRefused(
      `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${value}\r\n\r\n${FORGED}`,
      400,
      'BAD_CONTENT_LENGTH',
    ),
  );
});

describe('TE.TE: a Transfer-Encoding that one reader knows and the other does not', () => {
  it.each([
    'xchunked',
    'chunked, identity',
    'identity, chunked',
    'gzip, chunked',
    'chunked;a=b',
    '"chunked"',
    'chunked\xa0',
    'chunked, chunked,',
    'chunked\t;',
    '',
  ])('%j', (value) =>
    isRefused(
      `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ${value}\r\n\r\n0\r\n\r\n${FORGED}`,
      501,
      'UNKNOWN_TRANSFER_ENCODING',
    ),
  );

  it('two fields', () =>
    isRefused(
      `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n${FORGED}`,
      501,
      'UNKNOWN_TRANSFER_ENCODING',
    ));

  it('chunked in HTTP/1.0, which knows no chunks', () =>
    isRefused(
      `POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${FORGED}`,
      400,
      'CHUNKED_IN_HTTP_1_0',
    ));

  it.each([
    ['a space in front of the colon', 'Transfer-Encoding : chunked'],
    ['a tab in front of the colon', 'Transfer-Encoding\t: chunked'],
    ['a vertical tab in front of the value', 'Transfer-Encoding: \x0bchunked'],
    ['a NUL behind the name', 'Transfer-Encoding\0: chunked'],
    ['a fold', 'Transfer-Encoding:\r\n chunked'],
    ['a fold that hides the field', 'X: y\r\n Transfer-Encoding: chunked'],
    ['a space in front of the name', 'X: y\r\n\tTransfer-Encoding: chunked'],
    ['a bare LF in front', 'X: y\nTransfer-Encoding: chunked'],
    ['a bare CR in front', 'X: y\rTransfer-Encoding: chunked'],
    ['a bare CR behind', 'Transfer-Encoding: chunked\rX: y'],
    ['a colon alone in front', ': x\r\nTransfer-Encoding: chunked'],
    ['a line without a colon in front', 'x\r\nTransfer-Encoding: chunked'],
  ])('hidden by %s', (_, field) =>
    isRefused(
      `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 41\r\n${field}\r\n\r\n0\r\n\r\n${FORGED}`,
      400,
      'BAD_FIELD',
    ),
  );
});

describe('a nominated field that frames', () => {
  it.each(['Content-Length', 'content-length'])(
    'Connection: %s would strip the length, and the body would become a request',
    async (name) => {
      const { client, upstream } = await startLine();
      await client.ask(
        `POST /honest HTTP/1.1\r\nHost: h\r\nContent-Length: ${FORGED.length}\r\nConnection: ${name}\r\n\r\n${FORGED}`,
      );
      expect(upstream.lines).toEqual(['POST /honest HTTP/1.1']);
      expect(upstream.requests[0]!.body).toBe(FORGED);
    },
  );

  it('Connection: Transfer-Encoding would strip the coding, and the chunks would become a request', async () => {
    const { client, upstream } = await startLine();
    await client.ask(
      `POST /honest HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n\r\n` +
        `${FORGED.length.toString(16)}\r\n${FORGED}\r\n0\r\n\r\n`,
    );
    expect(upstream.lines).toEqual(['POST /honest HTTP/1.1']);
    expect(upstream.requests[0]!.body).toBe(FORGED);
  });

  it('Connection: Host would leave the choice of the virtual host to the upstream', async () => {
    const { client, upstream } = await startLine();
    await client.ask('GET /honest HTTP/1.1\r\nHost: h\r\nConnection: Host\r\n\r\n');
    expect(valuesOf(upstream.requests[0]!, 'host')).toEqual(['h']);
  });
});

describe('a body that looks like a request', () => {
  it('stays a body: of a length, of chunks, of GET', async () => {
    const { client, upstream } = await startLine();
    const size = FORGED.length.toString(16);
    await client.ask(`POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: ${FORGED.length}\r\n\r\n${FORGED}`);
    await client.ask(
      `POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${FORGED}\r\n0\r\n\r\n`,
    );
    await client.ask(`GET /3 HTTP/1.1\r\nHost: h\r\nContent-Length: ${FORGED.length}\r\n\r\n${FORGED}`);
    expect(upstream.requests.map(({ line, body }) => [line, body])).toEqual([
      ['POST /1 HTTP/1.1', FORGED],
      ['POST /2 HTTP/1.1', FORGED],
      ['GET /3 HTTP/1.1', FORGED],
    ]);
  });

  it('CL.0 by an upstream that ignores the body of a GET: its answer comes before the body is sent, so the connection is not used again', async () => {
    // The upstream answers as soon as it has the head, and takes the body for the next request. The splitter must
    // not put another client's request, nor this one's next, behind bytes that it has not seen acknowledged.
    const { client, upstream, splitter } = await startLine(async (peer) => {
      await peer.untilText('\r\n\r\n');
      await peer.ok('early');
      await peer.ended;
    });
    await client.send(`GET /honest HTTP/1.1\r\nHost: h\r\nContent-Length: ${FORGED.length}\r\n\r\n`);
    const response = await client.response();
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    await client.send(FORGED);
    await upstream.peers[0]!.ended;
    const other = await splitter.client();
    await other.ask(HONEST);
    expect(upstream.peers[1]!.transcript).toMatch(/^GET \/honest HTTP/);
  });
});

describe('chunks that two readers cut in two ways', () => {
  /** The head is already on its way when a chunk turns out bad: the upstream must see a body that never ends. */
  async function isCut(chunks: string): Promise<void> {
    for (const single of [false, true]) {
      const { client, upstream, splitter } = await startLine();
      await client.send('POST /attack HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
      await client.send(...(single ? [...chunks] : [chunks]));
      const response = await client.response();
      expect(statusOf(response)).toBe(400);
      expect(valuesOf(response, 'x-splitter-error')).toEqual(['BAD_CHUNK']);
      expect(valuesOf(response, 'connection')).toEqual(['close']);
      await client.ended;
      const other = await splitter.client();
      expect((await other.ask(HONEST)).body).toBe('GET /honest HTTP/1.1');
      // No request was whole but the honest one, and that came over a connection of its own.
      expect(upstream.lines).toEqual(['GET /honest HTTP/1.1']);
      const attacked = upstream.peers.find((peer) => peer.requests.length === 0);
      expect(attacked?.transcript ?? '').not.toContain('0\r\n\r\n');
      expect(attacked?.transcript ?? '').not.toContain('/forged');
    }
  }

  it.each([
    [
      'TERM.EXT: a bare LF ends the size line for some and is part of the extension for others',
      `2;\nxx\r\n45\r\n0\r\n\r\n${FORGED}\r\n0\r\n\r\n`,
    ],
    ['EXT.TERM: a bare CR in an extension', `2;\rxx\r\nab\r\n0\r\n\r\n${FORGED}`],
    ['an extension with a LF in a quoted value', `2;a="\n"\r\nab\r\n0\r\n\r\n${FORGED}`],
    ['SPILL: two more bytes than the size says', `2\r\nabxx\r\n0\r\n\r\n${FORGED}`],
    ['TERM.SPILL: any two bytes taken for the line end behind the data', `2\r\nabXX0\r\n\r\n${FORGED}`],
    ['ONE.TWO: a bare LF behind the data', `2\r\nab\n0\r\n\r\n${FORGED}`],
    ['a size with 0x', `0x2\r\nab\r\n0\r\n\r\n${FORGED}`],
    ['a size that overflows to 2', `100000000000000002\r\nab\r\n0\r\n\r\n${FORGED}`],
    ['a size with a sign', `+2\r\nab\r\n0\r\n\r\n${FORGED}`],
    ['an empty size', `\r\n\r\n${FORGED}`],
    ['white space inside the size', `2 2\r\nab\r\n0\r\n\r\n${FORGED}`],
    ['a request in place of the trailers', `0\r\n${FORGED}`],
    [
      'Content-Length as a trailer, which some merge into the head',
      `0\r\nContent-Length: 36\r\n\r\n${FORGED}`,
    ],
  ])('%s', (_, chunks) => isCut(chunks));
});

describe('a target that carries a second request line', () => {
  it.each([
    ['a space', 'GET / HTTP/1.1 HTTP/1.1\r\nHost: h\r\n\r\n', 'BAD_REQUEST_LINE'],
    ['a bare CR', 'GET /\rGET HTTP/1.1\r\nHost: h\r\n\r\n', 'BAD_REQUEST_LINE'],
    ['a bare LF', 'GET /\nHost:h HTTP/1.1\r\nHost: h\r\n\r\n', 'BAD_REQUEST_LINE'],
    ['a tab', 'GET /\tHTTP/1.1 HTTP/1.1\r\nHost: h\r\n\r\n', 'BAD_TARGET'],
    ['a NUL', 'GET /\0/forged HTTP/1.1\r\nHost: h\r\n\r\n', 'BAD_TARGET'],
  ] as const)('by %s', (_, attack, code) => isRefused(attack + FORGED, 400, code));
});

describe('a Host that two readers read in two ways', () => {
  it.each([
    ['two fields', 'Host: h\r\nHost: evil'],
    ['a list', 'Host: h, evil'],
    ['user information', 'Host: h@evil'],
    ['a path', 'Host: h/evil'],
    ['none', 'X: y'],
    ['an empty one', 'Host:'],
  ])('%s', (_, fields) => isRefused(`GET /forged HTTP/1.1\r\n${fields}\r\n\r\n`, 400, 'BAD_HOST'));
});

describe('a route that is chosen by the host', () => {
  it('an absolute-form decides by its authority, which is also the Host that the upstream sees: never one for the route and the other for the upstream', async () => {
    const open = await startUpstream();
    const inner = await startUpstream();
    const splitter = await startSplitter({
      upstreams: { open: { url: open.url }, inner: { url: inner.url } },
      routes: [
        { host: 'inner.example', upstream: 'inner' },
        { host: 'open.example', upstream: 'open' },
      ],
    });
    const client = await splitter.client();
    await client.ask('GET http://open.example/ HTTP/1.1\r\nHost: inner.example\r\n\r\n');
    await client.ask('GET http://INNER.example:80/ HTTP/1.1\r\nHost: open.example\r\n\r\n');
    expect(open.requests.map((request) => valuesOf(request, 'host'))).toEqual([['open.example']]);
    expect(inner.requests.map((request) => valuesOf(request, 'host'))).toEqual([['INNER.example:80']]);
    const elsewhere = await client.ask('GET / HTTP/1.1\r\nHost: other.example\r\n\r\n');
    expect(statusOf(elsewhere)).toBe(404);
  });

  it.each(['inner.example.', 'inner.example:', 'inner.example:8080', 'INNER.EXAMPLE'])(
    '%s is the same host as inner.example: a rule for it cannot be walked around by another spelling',
    async (host) => {
      const open = await startUpstream();
      const inner = await startUpstream();
      const splitter = await startSplitter({
        upstreams: { open: { url: open.url }, inner: { url: inner.url } },
        routes: [{ host: 'inner.example', upstream: 'inner' }, { upstream: 'open' }],
      });
      const client = await splitter.client();
      await client.ask(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expect([inner.lines.length, open.lines.length]).toEqual([1, 0]);
    },
  );
});

describe('requests that are not for a splitter', () => {
  it('CONNECT would be a tunnel to anywhere', () =>
    isRefused(`CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n${FORGED}`, 405, 'CONNECT_REFUSED'));

  it('the HTTP/2 preface, behind which everything is frames', () =>
    isRefused('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, 'VERSION_UNSUPPORTED'));

  it('HTTP/0.9 has no head, and its response no end', () =>
    isRefused('GET /forged\r\n\r\n', 400, 'BAD_REQUEST_LINE'));

  it('h2c: an upgrade after which the upstream takes frames that nobody here reads', async () => {
    const { client, upstream } = await startLine();
    await client.ask(
      'GET /honest HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
    );
    expect(upstream.requests[0]!.fields.map(([name]) => name.toLowerCase())).not.toEqual(
      expect.arrayContaining(['upgrade']),
    );
    expect(upstream.transcript).not.toMatch(/upgrade|http2-settings/i);
  });
});

describe('an upstream that answers more than was asked', () => {
  const BEHIND = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';

  it.each([
    ['a length', `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello${BEHIND}`],
    ['chunks', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${BEHIND}`],
    ['no body', `HTTP/1.1 204 No Content\r\n\r\n${BEHIND}`],
    ['a body that 304 must not have', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\nforged'],
    ['one byte', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellox'],
    ['an empty line', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello\r\n'],
  ])(
    'behind %s: the next client must not get it, so the connection is never used again',
    async (_, answer) => {
      for (const pieces of [[answer], [answer.slice(0, -1), answer.slice(-1)]]) {
        const { client, upstream, splitter } = await startLine(async (peer, index) => {
          await peer.request();
          if (index === 0) return peer.send(...pieces);
          await peer.ok('honest');
          for (;;) {
            await peer.request();
            await peer.ok('honest');
          }
        });
        const response = await client.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
        expect(['hello', '']).toContain(response.body);
        await upstream.peers[0]!.ended;
        const other = await splitter.client();
        expect((await other.ask(HONEST)).body).toBe('honest');
        expect((await client.ask(HONEST)).body).not.toBe('forged');
        expect(upstream.peers[0]!.requests).toHaveLength(1);
      }
    },
  );

  it('in the head of HEAD: the body that was sent all the same is nobody’s response', async () => {
    const { client, upstream } = await startLine(async (peer, index) => {
      await peer.request();
      if (index === 0)
        return peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${BEHIND.length}\r\n\r\n${BEHIND}`);
      await peer.ok('honest');
    });
    await client.send('HEAD / HTTP/1.1\r\nHost: h\r\n\r\n');
    await client.response('HEAD');
    await upstream.peers[0]!.ended;
    expect((await client.ask(HONEST)).body).toBe('honest');
  });

  it('on an idle connection: bytes that nobody asked for end it', async () => {
    const { client, upstream } = await startLine(async (peer, index) => {
      await peer.request();
      await peer.ok('first');
      if (index > 0) return;
      await peer.send(BEHIND);
    });
    await client.ask(HONEST);
    await upstream.peers[0]!.ended;
    expect((await client.ask(HONEST)).body).toBe('first');
    expect(upstream.peers).toHaveLength(2);
  });

  it('before the request is complete: a final answer, then the body as if it were a request', async () => {
    // The upstream answers the head and closes nothing; the client's body would reach it as the next request.
    const { client, upstream } = await startLine(async (peer) => {
      await peer.untilText('\r\n\r\n');
      await peer.ok('early');
      await peer.ended;
    });
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n');
    expect((await client.response()).body).toBe('early');
    await client.send(FORGED);
    await upstream.peers[0]!.ended;
    expect(upstream.transcript).not.toContain('/forged');
  });
});

describe('an upstream response that two readers frame in two ways', () => {
  it.each([
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
    ['the same length twice', 'Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello'],
    ['a length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a coding that is not known', 'Transfer-Encoding: gzip\r\n\r\nhello'],
    ['a bad length', 'Content-Length: 5x\r\n\r\nhello'],
    ['a length that overflows', 'Content-Length: 18446744073709551621\r\n\r\nhello'],
    [
      'a second length with a space in front of its colon',
      'Content-Length: 0\r\nContent-Length : 5\r\n\r\nhello',
    ],
    ['a folded length', 'Content-Length: 1\r\n 0\r\n\r\nhello'],
    ['a fold in front of the first field', ' A: b\r\nContent-Length: 0\r\n\r\n'],
    ['a bare LF', 'A: b\nContent-Length: 0\r\n\r\n'],
    ['a bare CR', 'A: b\rContent-Length: 0\r\n\r\n'],
    ['a NUL', 'A: \0\r\nContent-Length: 0\r\n\r\n'],
    ['a switch of protocols that nobody asked for', null],
    ['garbage', null],
  ])('%s: 502, and the connection is never used again', async (name, rest) => {
    const answers: Record<string, string> = {
      'a switch of protocols that nobody asked for':
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      garbage: 'hello world\r\n\r\n',
    };
    const answer = rest === null ? answers[name]! : `HTTP/1.1 200 OK\r\n${rest}`;
    for (const pieces of [[answer], [...answer]]) {
      const { client, upstream } = await startLine(async (peer, index) => {
        await peer.request();
        if (index === 0) return peer.send(...pieces);
        await peer.ok('honest');
      });
      const response = await client.ask('GET /attacked HTTP/1.1\r\nHost: h\r\n\r\n');
      expect(statusOf(response)).toBe(502);
      expect(valuesOf(response, 'x-splitter-error')).toEqual(['UPSTREAM_BAD_RESPONSE']);
      await upstream.peers[0]!.ended;
      expect((await client.ask(HONEST)).body).toBe('honest');
      expect(upstream.peers).toHaveLength(2);
    }
  });

  it('chunks that break in the middle: the client sees a cut, never an end', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'X\r\n');
    });
    await client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await client.ended;
    expect(client.pending).toMatch(/5\r\nhello\r\n$/);
  });

  it('a head that floods: 502', async () => {
    for (const flood of [`A: ${'b'.repeat(40_000)}`, 'A: b\r\n'.repeat(200)]) {
      const { client } = await startLine(async (peer) => {
        await peer.request();
        await peer.send(`HTTP/1.1 200 OK\r\n${flood}\r\n\r\n`);
      });
      const response = await client.ask('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      expect(statusOf(response)).toBe(502);
      expect(valuesOf(response, 'x-splitter-error')).toEqual(['UPSTREAM_HEAD_TOO_LARGE']);
    }
  });
});
