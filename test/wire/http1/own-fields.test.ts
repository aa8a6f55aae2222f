// Fields that the splitter itself puts into messages: the variant header, Vary, request and trace ids. What a client or an
// upstream says under the same name is never taken for ours.
import { describe, expect, it } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import { startLine } from '../../support/splitter.ts';
import { startTwoVariants } from '../../support/two-variants.ts';

const request = (target: string, ...fields: string[]) =>
  `${[`GET ${target} HTTP/1.1`, 'Host: h', ...fields].join('\r\n')}\r\n\r\n`;
/** A port that was free a moment ago may be another test's by now; nobody ever listens at this one. */
const NOBODY = 'http://127.0.0.1:1';
const BOTH = { variantHeader: { name: 'X-Variant', to: ['upstream', 'client'] } };

describe('the variant header', () => {
  it('tells upstream and client the name of the variant', async () => {
    const { a, client } = await startTwoVariants({}, BOTH);
    const response = await client.ask(request('/?token=1'));
    expect(a.transcript).toBe(request('/?token=1', 'X-Variant: a'));
    expect(valuesOf(response, 'x-variant')).toEqual(['a']);
  });

  it('goes to the upstream alone unless the configuration says otherwise', async () => {
    const { a, client } = await startTwoVariants({}, { variantHeader: { name: 'x-variant' } });
    const response = await client.ask(request('/'));
    expect([valuesOf(a.requests[0]!, 'x-variant'), valuesOf(response, 'x-variant')]).toEqual([['a'], []]);
  });

  // The attack: a client tells the application that it is in a variant of its own choice, spelled as CGI, WSGI and Rack
  // take for the same; and it has "Connection" name the field, so that a careless proxy drops its own.
  it('cannot be said by a client', async () => {
    for (const to of [['upstream'], ['client']]) {
      const { a, client } = await startTwoVariants({}, { variantHeader: { name: 'X-Variant', to } });
      const forged = ['x-variant: b', 'X-VARIANT: b', 'X_Variant: b', 'x_variant:b', 'Connection: x-variant'];
      await client.ask(request('/', ...forged));
      expect(a.transcript).toBe(to[0] === 'upstream' ? request('/', 'X-Variant: a') : request('/'));
    }
  });

  it('cannot be said by a client in a trailer', async () => {
    const { a, client } = await startTwoVariants({}, BOTH);
    await client.ask(
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Variant: b\r\nx_variant: b\r\n\r\n',
    );
    expect(a.requests[0]!.trailers).toEqual([]);
    expect(valuesOf(a.requests[0]!, 'x-variant')).toEqual(['a']);
  });

  it('cannot be said by an upstream: not in a response, an interim one or a trailer', async () => {
    const { client } = await startTwoVariants({}, BOTH, {
      script: async (peer) => {
        await peer.request();
        await peer.send('HTTP/1.1 103 Early Hints\r\nx-variant: b\r\nLink: </a>\r\n\r\n');
        await peer.send(
          'HTTP/1.1 200 OK\r\nX-Variant: b\r\nx_variant: b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Variant: b\r\n\r\n',
        );
      },
    });
    const hints = await client.ask(request('/'));
    const { fields, trailers } = await client.response();
    expect(hints.fields).toEqual([['Link', '</a>']]);
    expect([valuesOf({ fields }, 'x-variant'), valuesOf({ fields }, 'x_variant'), trailers]).toEqual([
      ['a'],
      [],
      [],
    ]);
  });

  it('of an upstream passes where the client is not told ours', async () => {
    const { client } = await startTwoVariants(
      {},
      { variantHeader: { name: 'x-variant' } },
      {
        script: async (peer) => {
          await peer.request();
          await peer.ok('', 'X-Variant: its own');
        },
      },
    );
    expect(valuesOf(await client.ask(request('/')), 'x-variant')).toEqual(['its own']);
  });

  it('of a client is removed on a route without a split, which has no variant', async () => {
    const { client, upstream } = await startLine(undefined, { forwarded: 'remove', ...BOTH });
    const response = await client.ask(request('/', 'X-Variant: b'));
    expect(upstream.transcript).toBe(request('/'));
    expect(valuesOf(response, 'x-variant')).toEqual([]);
  });

  it('is on a failure that the splitter answers, so that failures can be told apart by variant', async () => {
    const dead = NOBODY;
    const { client } = await startTwoVariants(
      { variants: [{ name: 'a', share: '*', upstream: dead }] },
      BOTH,
    );
    const response = await client.ask(request('/'));
    expect([statusOf(response), valuesOf(response, 'x-variant')]).toEqual([502, ['a']]);
  });

  it('names the variant that was chosen, not the upstream that had to stand in', async () => {
    const dead = NOBODY;
    const { a, client } = await startTwoVariants({}, BOTH);
    const splits = { s: { variants: [{ name: 'a', share: '*', upstream: 'down' }] } };
    const upstreams = { down: { url: dead, onDown: { fallback: 'up' } }, up: { url: a.url } };
    const other = await startTwoVariants({}, { ...BOTH, splits, upstreams });
    const response = await other.client.ask(request('/'));
    expect(valuesOf(response, 'x-splitter-fallback')).toEqual(['up']);
    expect([valuesOf(response, 'x-variant'), valuesOf(a.requests[0]!, 'x-variant')]).toEqual([['a'], ['a']]);
    client.close();
  });
});

describe('x-splitter-*', () => {
  // The attack: a variant says of itself that the splitter failed, or that another variant answered.
  it('cannot be said by an upstream: not in a response, an interim one or a trailer', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 103 Early Hints\r\nx-splitter-error: FAKE\r\nLink: </a>\r\n\r\n');
      await peer.send(
        'HTTP/1.1 200 OK\r\nX-Splitter-Error: FAKE\r\nx_splitter_fallback: FAKE\r\nTransfer-Encoding: chunked\r\n\r\n',
        '0\r\nX_Splitter_Error: FAKE\r\nx-splitter-new: FAKE\r\nX-Sum: 1\r\n\r\n',
      );
    });
    const hints = await client.ask(request('/'));
    const { raw, trailers } = await client.response();
    expect(hints.fields).toEqual([['Link', '</a>']]);
    expect(raw).not.toContain('FAKE');
    expect(trailers).toEqual([['X-Sum', '1']]);
  });

  it('cannot be said by an upstream that switches protocols', async () => {
    const { client } = await startLine(async (peer) => {
      await peer.untilText('\r\n\r\n');
      await peer.send(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nx-splitter-error: FAKE\r\n\r\n',
      );
    });
    const { line, raw } = await client.ask(request('/', 'Connection: Upgrade', 'Upgrade: websocket'));
    expect(line).toBe('HTTP/1.1 101 Switching Protocols');
    expect(raw).not.toContain('FAKE');
  });
});

describe('Vary', () => {
  const varyOf = async (split: Record<string, unknown>, target = '/?token=1') => {
    const { client } = await startTwoVariants(
      split,
      { vary: true },
      {
        script: async (peer) => {
          await peer.request();
          await peer.ok('', 'Vary: Accept-Encoding');
        },
      },
    );
    return valuesOf(await client.ask(request(target)), 'vary');
  };

  it.each([
    ['nothing for a key in the URL', { key: '$arg_token' }, []],
    ['the field of a key', { key: '$http_x_user' }, ['x-user']],
    ['Cookie for a key in a cookie', { key: ['$arg_token', '$cookie_uid'] }, ['Cookie']],
    ['Cookie for a minted key', { key: ['$http_x_user', { mint: 'uid' }] }, ['x-user, Cookie']],
    [
      'Referer where the page may have the key in its query',
      { key: ['$arg_token', { mint: 'uid' }] },
      ['Cookie, Referer'],
    ],
    [
      'the fields of an override',
      { override: { header: 'x-v', cookie: 'v', variants: ['b'] } },
      ['x-v, Cookie'],
    ],
    ['nothing for an override in the URL', { override: { query: 'v', variants: ['b'] } }, []],
    ['everything for a key that no field tells', { key: '$remote_addr' }, ['*']],
  ])('has %s, beside what the upstream says', async (_, split, fields) => {
    expect(await varyOf(split)).toEqual(['Accept-Encoding', ...fields]);
  });

  it('is everything for a request whose variant was a throw of the dice', async () => {
    const random = { key: '$cookie_uid$arg_token', missingKey: 'random' };
    expect(await varyOf(random, '/')).toEqual(['Accept-Encoding', '*']);
    expect(await varyOf(random)).toEqual(['Accept-Encoding', 'Cookie']);
  });

  it('is what the upstream says unless it is asked for', async () => {
    const { client } = await startTwoVariants({ key: '$cookie_uid' });
    expect(valuesOf(await client.ask(request('/')), 'vary')).toEqual([]);
  });
});

describe('request and trace ids', () => {
  const MADE = { requestId: true, traceparent: 'sampled' };
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

  it('are made for a request that has none, new ones for each', async () => {
    const { upstream, client } = await startLine(undefined, { forwarded: 'remove', ...MADE });
    await client.ask(request('/1'));
    await client.ask(request('/2', 'X-Request-Id:', 'traceparent: ', 'tracestate: old=1'));
    const ids = upstream.requests.map((one) => valuesOf(one, 'x-request-id'));
    const traces = upstream.requests.map((one) => valuesOf(one, 'traceparent'));
    expect([...ids, ...traces].map(({ length }) => length)).toEqual([1, 1, 1, 1]);
    for (const [id] of ids) expect(id).toMatch(UUID);
    for (const [trace] of traces)
      expect(trace).toMatch(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-01$/);
    expect(new Set([...ids, ...traces].flat()).size).toBe(4);
    // State of a trace that is not there any more would be taken for that of the new one.
    expect(valuesOf(upstream.requests[1]!, 'tracestate')).toEqual([]);
  });

  it('pass through where they are', async () => {
    const { upstream, client } = await startLine(undefined, { forwarded: 'remove', ...MADE });
    const trace = 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
    const sent = request('/', 'X-Request-ID: mine', trace, 'tracestate: a=1');
    await client.ask(sent);
    expect(upstream.transcript).toBe(sent);
  });

  it('can ask for no recording', async () => {
    const { upstream, client } = await startLine(undefined, { traceparent: 'unsampled' });
    await client.ask(request('/'));
    expect(valuesOf(upstream.requests[0]!, 'traceparent')[0]).toMatch(/-00$/);
  });

  it('are not made unless they are asked for', async () => {
    const { upstream, client } = await startLine(undefined, { forwarded: 'remove' });
    await client.ask(request('/'));
    expect(upstream.transcript).toBe(request('/'));
  });

  it('stand in the log, the made one and the given one, and also where nothing was sent', async () => {
    const records: { requestId: string }[] = [];
    const accessLog = { wants: () => true, write: (record: { requestId: string }) => records.push(record) };
    const { a, client } = await startTwoVariants({}, MADE, { accessLog: accessLog as never });
    await client.ask(request('/'));
    await client.ask(request('/', 'X-Request-ID: mine'));
    expect(records.map(({ requestId }) => requestId)).toEqual([
      valuesOf(a.requests[0]!, 'x-request-id')[0],
      'mine',
    ]);
    const dead = NOBODY;
    const down = { variants: [{ name: 'a', share: '*', upstream: dead }] };
    const other = await startTwoVariants(down, MADE, { accessLog: accessLog as never });
    await other.client.ask(request('/'));
    expect(records[2]!.requestId).toMatch(UUID);
  });

  it('are the same when a request is sent again', async () => {
    const { upstream, client } = await startLine(async (peer, index) => {
      await peer.request();
      await peer.ok();
      if (index > 0) return;
      await peer.request();
      peer.reset();
    }, MADE);
    await client.ask(request('/1'));
    await client.ask(request('/2'));
    const [, first, again] = upstream.requests;
    expect(first!.line).toBe('GET /2 HTTP/1.1');
    expect(again!.raw).toBe(first!.raw);
  });
});
