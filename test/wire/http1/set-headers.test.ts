// `setHeaders` and `host` with variables: what the upstream sees in place of what the client sent, and what no client can
// bring past them.
import { describe, expect, it } from 'vitest';
import { type Message, valuesOf } from '../../support/message.ts';
import { startLine, startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = (...fields: string[]) =>
  ['GET /a%20b?token=7 HTTP/1.1', 'Host: Shop.Example:81', ...fields, '', ''].join('\r\n');

/** What the upstream got of a request with these fields. */
async function seen(request: string, settings: object, more: object = {}): Promise<Message> {
  const { client, upstream } = await startLine(undefined, { ...more }, { ...settings });
  await client.ask(request);
  return upstream.requests[0]!;
}

describe('setHeaders', () => {
  it('replaces every field of the name, whatever its case, and takes out what is set to nothing', async () => {
    const request = await seen(
      GET('X-Real-IP: 6.6.6.6', 'x-real-ip: 7.7.7.7', 'Authorization: Basic x', 'X-Other: 1'),
      {
        setHeaders: {
          'X-Real-IP': '$remote_addr',
          Authorization: '',
          'X-Token': 'v=${arg_token};',
          'X-Empty': '$arg_none',
        },
      },
    );
    expect(valuesOf(request, 'x-real-ip')).toEqual(['127.0.0.1']);
    expect(valuesOf(request, 'authorization')).toEqual([]);
    expect(valuesOf(request, 'x-token')).toEqual(['v=7;']);
    expect(valuesOf(request, 'x-empty')).toEqual([]);
    expect(valuesOf(request, 'x-other')).toEqual(['1']);
  });

  it('stands above forwarded, field by field', async () => {
    const sent = GET('X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: evil');
    const forwardedBy = async (forwarded: string, setHeaders: object) => {
      const request = await seen(sent, { setHeaders }, { forwarded });
      return ['for', 'proto', 'host'].map((name) => valuesOf(request, `x-forwarded-${name}`).join('+'));
    };
    const For = { 'X-Forwarded-For': '$proxy_add_x_forwarded_for' };
    const proto = { 'x-forwarded-proto': '$scheme' };
    const host = { 'X-FORWARDED-HOST': '' };
    expect(await forwardedBy('append', proto)).toEqual(['1.1.1.1, 127.0.0.1', 'http', 'evil']);
    expect(await forwardedBy('replace', { ...For, ...host })).toEqual(['1.1.1.1, 127.0.0.1', 'http', '']);
    expect(await forwardedBy('remove', For)).toEqual(['1.1.1.1, 127.0.0.1', '', '']);
    expect(await forwardedBy('keep', { ...proto, ...host })).toEqual(['1.1.1.1', 'http', '']);
    expect(await forwardedBy('append', { 'X-Forwarded-For': '' })).toEqual(['', 'https', 'evil']);
    const none = await seen(GET(), { setHeaders: { 'X-Forwarded-For': 'set' } });
    expect(['for', 'proto', 'host'].map((name) => valuesOf(none, `x-forwarded-${name}`))).toEqual([
      ['set'],
      ['http'],
      ['Shop.Example:81'],
    ]);
  });

  // An application behind CGI or WSGI reads X_Real_IP and X-Real-IP alike; the client's would stand beside ours.
  it('takes out what an application could not tell from the field', async () => {
    const request = await seen(GET('X_Real_IP: 6.6.6.6', 'X.Real.IP: 6.6.6.6'), {
      setHeaders: { 'X-Real-IP': '$remote_addr' },
    });
    expect(valuesOf(request, 'x_real_ip')).toEqual([]);
    expect(valuesOf(request, 'x.real.ip')).toEqual([]);
    expect(valuesOf(request, 'x-real-ip')).toEqual(['127.0.0.1']);
  });

  // Connection names fields of this hop; a field that we set is none of the client's to take back.
  it('cannot be taken back by a client that names the field in Connection', async () => {
    const request = await seen(GET('Connection: X-Real-IP', 'X-Real-IP: 6.6.6.6'), {
      setHeaders: { 'X-Real-IP': '$remote_addr' },
    });
    expect(valuesOf(request, 'x-real-ip')).toEqual(['127.0.0.1']);
  });

  it('cannot be brought along in a trailer', async () => {
    const { client, upstream } = await startLine(
      undefined,
      {},
      { setHeaders: { 'X-Real-IP': '$remote_addr' } },
    );
    await client.ask(
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Real-IP: 6.6.6.6\r\nX-Other: 1\r\n\r\n',
    );
    expect(upstream.transcript).toContain('X-Real-IP: 127.0.0.1\r\n');
    expect(upstream.transcript).toContain('0\r\nX-Other: 1\r\n\r\n');
  });

  // $uri is decoded: a path with %0d%0a would end the field and begin another one, or another request.
  it('a line end that a client hides in its path stays encoded', async () => {
    const { client, upstream } = await startLine(undefined, {}, { setHeaders: { 'X-Uri': '$uri' } });
    await client.ask(
      'GET /a%0d%0aX-Admin:%20yes%0D%0A%0d%0aGET%20/forged%20HTTP/1.1%00 HTTP/1.1\r\nHost: h\r\n\r\n',
    );
    await client.ask('GET /b%0d%0aX-Admin:%20yes%0d%0a%0d%0aGET%20/forged HTTP/1.1\r\nHost: h\r\n\r\n');
    expect(upstream.lines).toHaveLength(2);
    const [refused, decoded] = upstream.requests;
    expect(valuesOf(refused!, 'x-admin').concat(valuesOf(decoded!, 'x-admin'))).toEqual([]);
    expect(valuesOf(decoded!, 'x-uri')).toEqual(['/b%0D%0AX-Admin: yes%0D%0A%0D%0AGET /forged']);
  });

  // Otherwise the secret of an override would reach the upstream by another name.
  it('knows nothing of an override that goes no further', async () => {
    const upstream = await startUpstream();
    const splitter = await startSplitter({
      upstreams: {
        u: {
          url: upstream.url,
          setHeaders: {
            'X-Url': '$request_uri',
            'X-Cookie': '$http_cookie',
            'X-Ask': '$http_x_ask',
            Cookie: 'own=1',
          },
        },
      },
      splits: {
        s: {
          variants: [{ name: 'a', share: '*', upstream: 'u' }],
          override: {
            query: 'ask',
            header: 'x-ask',
            cookie: 'ask',
            variants: ['a'],
            secret: '0123456789abcdef',
          },
        },
      },
    });
    const client = await splitter.client();
    const asking = 'a~0123456789abcdef';
    await client.ask(
      `GET /?ask=${asking}&b=1 HTTP/1.1\r\nHost: h\r\nCookie: ask=${asking}; c=2\r\nX-Ask: ${asking}\r\n\r\n`,
    );
    expect(upstream.transcript).not.toContain('0123456789abcdef');
    const [request] = upstream.requests;
    expect(['x-url', 'x-cookie', 'x-ask', 'cookie'].map((name) => valuesOf(request!, name))).toEqual([
      ['/?b=1'],
      ['c=2'],
      [],
      ['own=1'],
    ]);
  });

  it('upstreamDefaults and the upstream itself set fields together', async () => {
    const request = await seen(
      GET(),
      { setHeaders: { 'x-b': 'own', 'X-C': 'own' } },
      { upstreamDefaults: { setHeaders: { 'X-A': 'all', 'X-B': 'all' } } },
    );
    expect(['x-a', 'x-b', 'x-c'].map((name) => valuesOf(request, name))).toEqual([['all'], ['own'], ['own']]);
  });
});

describe('host', () => {
  it.each([
    ['$host', 'shop.example'],
    ['$host:8080', 'shop.example:8080'],
  ])('%s is that of the client in lower case, without its port', async (host, value) => {
    expect(valuesOf(await seen(GET(), { host }), 'host')).toEqual([value]);
    const absolute = 'GET http://Other.Example:82/ HTTP/1.1\r\nHost: Shop.Example\r\n\r\n';
    expect(valuesOf(await seen(absolute, { host }), 'host')).toEqual([value.replace('shop', 'other')]);
  });

  it('$host of a client that sends none is that of the URL', async () => {
    const { client, upstream } = await startLine(undefined, {}, { host: '$host' });
    await client.ask('GET / HTTP/1.0\r\n\r\n');
    expect(valuesOf(upstream.requests[0]!, 'host')).toEqual([`127.0.0.1:${upstream.port}`]);
  });
});
