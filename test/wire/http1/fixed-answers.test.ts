// Answers that a route gives without an upstream (`respond`), and the fields that a route adds to responses.
import { describe, expect, it } from 'vitest';
import { type Message, valuesOf } from '../../support/message.ts';
import { type Document, startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = (target: string, ...fields: string[]) =>
  [`GET ${target} HTTP/1.1`, 'Host: Shop.Example:81', ...fields, '', ''].join('\r\n');

/** The response to one request, by a splitter that has only this route. */
async function answered(
  route: Document,
  request = GET('/a%20b?token=7'),
  more: Document = {},
): Promise<Message> {
  const splitter = await startSplitter({ routes: [route], ...more });
  return (await splitter.client()).ask(request);
}

const body = (response: Message) => response.body;

describe('respond', () => {
  it('gives status, type and a body with variables, and keeps the connection', async () => {
    const splitter = await startSplitter({
      routes: [{ respond: { status: 200, body: 'é $host $arg_token\n', contentType: 'text/x' } }],
    });
    const client = await splitter.client();
    const first = await client.ask(GET('/?token=7'));
    expect(first.line).toBe('HTTP/1.1 200 OK');
    expect(Buffer.from(first.body, 'latin1').toString()).toBe('é shop.example 7\n');
    expect(valuesOf(first, 'content-type')).toEqual(['text/x']);
    expect(valuesOf(first, 'content-length')).toEqual([String(first.body.length)]);
    expect(body(await client.ask(GET('/?token=8')))).toContain(' 8\n');
  });

  it('redirects, and begins a relative location with the base', async () => {
    const absolute = await answered({ respond: { status: 301, location: 'https://$host$request_uri' } });
    expect(valuesOf(absolute, 'location')).toEqual(['https://shop.example/a%20b?token=7']);
    const base = { status: 302, locationBase: 'http://$host:81' };
    const relative = await answered({ respond: { ...base, location: '$request_uri' } });
    expect(valuesOf(relative, 'location')).toEqual(['http://shop.example:81/a%20b?token=7']);
    const whole = await answered({ respond: { ...base, location: 'x:$args' } });
    expect(valuesOf(whole, 'location')).toEqual(['x:token=7']);
  });

  // $uri is decoded: a line end in it would end the field and begin one of the client's making.
  it('cannot be made to send a field of the client', async () => {
    const response = await answered(
      { respond: { status: 302, location: '$uri' }, setResponseHeaders: { 'X-Path': '$uri' } },
      GET('/a%0d%0aSet-Cookie:%20evil=1'),
    );
    expect(valuesOf(response, 'set-cookie')).toEqual([]);
    expect(valuesOf(response, 'location')).toEqual(['/a%0D%0ASet-Cookie: evil=1']);
    expect(valuesOf(response, 'x-path')).toEqual(['/a%0D%0ASet-Cookie: evil=1']);
  });

  it('has a page where no body is given, in plain text or as nginx has it', async () => {
    expect(body(await answered({ respond: { status: 404 } }))).toBe('404 Not Found\n');
    const html = await answered({ respond: { status: 503 } }, GET('/'), { errorPages: 'html' });
    expect(html.line).toBe('HTTP/1.1 503 Service Temporarily Unavailable');
    expect(valuesOf(html, 'content-type')).toEqual(['text/html']);
    expect(body(html)).toContain('<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n');
    expect(body(await answered({ respond: { status: 200 } }))).toBe('');
    const none = await answered({ respond: { status: 204 } });
    expect([valuesOf(none, 'content-length'), valuesOf(none, 'content-type')]).toEqual([[], []]);
  });

  it('takes the type from the end of the path', async () => {
    const respond = { status: 200, body: 'x', contentTypes: { html: 'text/html', js: 'text/javascript' } };
    const typeOf = async (path: string) =>
      valuesOf(await answered({ respond }, GET(path)), 'content-type')[0];
    expect(await typeOf('/a.HTML?b.js')).toBe('text/html');
    expect(await typeOf('/a.html/b')).toBe('text/plain');
    expect(await typeOf('/x.js')).toBe('text/javascript');
  });

  it('closes the connection without an answer for 444', async () => {
    const splitter = await startSplitter({ routes: [{ respond: { status: 444 } }] });
    const client = await splitter.client();
    await client.send(GET('/'));
    await client.ended;
    expect(client.pending).toBe('');
  });

  // The rest of a body that was not read is no request: the connection must not go on.
  it('closes the connection after the answer to a request whose body was not read', async () => {
    const splitter = await startSplitter({ routes: [{ respond: { status: 200, body: 'x' } }] });
    const client = await splitter.client();
    const response = await client.ask(
      `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${GET('/evil').length}\r\n\r\n${GET('/evil')}`,
    );
    expect(valuesOf(response, 'connection')).toEqual(['close']);
    await client.ended;
    expect(client.pending).toBe('');
  });

  it('refuses a body above the limit of the route', async () => {
    const response = await answered(
      { respond: { status: 200 }, limits: { requestBody: '1B' } },
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxx',
    );
    expect(valuesOf(response, 'x-splitter-error')).toEqual(['BODY_TOO_LARGE']);
  });

  it('is counted under its route', async () => {
    const splitter = await startSplitter({
      routes: [{ path: '/health', exact: true, respond: { status: 200 } }, { respond: { status: 503 } }],
    });
    const client = await splitter.client();
    await client.ask(GET('/health'));
    await client.ask(GET('/x'));
    const rows = [...splitter.ambassador.counters.variants()];
    expect(rows.map(({ upstream, ended, failed }) => [upstream, ended, failed])).toEqual([
      ['respond =/health', 1, 0],
      ['respond /', 1, 1],
    ]);
  });
});

describe('setResponseHeaders', () => {
  const UPSTREAM = 'HTTP/1.1 STATUS X\r\nX-A: upstream\r\nx_b: upstream\r\nContent-Length: 0\r\n\r\n';
  async function proxied(fields: Document, status = 200): Promise<Message> {
    const upstream = await startUpstream(async (peer) => {
      await peer.request();
      await peer.send(UPSTREAM.replace('STATUS', String(status)));
    });
    return answered({ upstream: upstream.url, setResponseHeaders: fields });
  }

  it('replaces or adds, with variables of the request; an empty value adds nothing', async () => {
    const response = await proxied({
      'X-A': '$arg_token',
      'X-B': { value: 'ours', mode: 'add' },
      'X-C': ['1', { value: '2', mode: 'add' }],
      'X-D': '$arg_none',
    });
    expect(valuesOf(response, 'x-a')).toEqual(['7']);
    expect([valuesOf(response, 'x-b'), valuesOf(response, 'x_b')]).toEqual([['ours'], ['upstream']]);
    expect(valuesOf(response, 'x-c')).toEqual(['1', '2']);
    expect(valuesOf(response, 'x-d')).toEqual([]);
  });

  it('adds what is for good responses to those alone', async () => {
    const fields = { 'X-C': { value: 'c', on: 'good' } };
    for (const [status, values] of [
      [200, ['c']],
      [304, ['c']],
      [203, []],
      [404, []],
      [502, []],
    ] as const) {
      expect([status, valuesOf(await proxied(fields, status), 'x-c')]).toEqual([status, values]);
    }
  });

  it("adds to the splitter's own failures", async () => {
    const setResponseHeaders = { 'X-A': '1', 'X-G': { value: '1', on: 'good' } };
    const response = await answered({ upstream: 'http://127.0.0.1:1', setResponseHeaders }, GET('/'), {
      upstreamDefaults: { retry: { attempts: 0 } },
    });
    expect(valuesOf(response, 'x-splitter-error')).toEqual(['UPSTREAM_CONNECT_FAILED']);
    expect([valuesOf(response, 'x-a'), valuesOf(response, 'x-g')]).toEqual([['1'], []]);
  });
});
