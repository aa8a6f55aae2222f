// Variables of what surrounds a request: its connection, the process, the clock. nginx's exact bytes, with a connection and
// a clock of the test (test/parity has the same beside nginx, as far as its clock and its ports can be known).
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RequestContext, RequestView, ResponseFacts, Surroundings } from '../../../src/bytes.ts';
import { type CompiledKey, compileKey } from '../../../src/key/compile.ts';
import { KeptValues, NO_SURROUNDINGS } from '../../../src/key/request-context.ts';
import { RESPONSE_PREFIXES, RESPONSE_VARIABLES } from '../../../src/key/response-variables.ts';
import { beginKey, takeKey } from '../../../src/key/variables.ts';
import { LibraryView } from '../../../src/split/request.ts';

/** A request whose head came as bytes on a connection that is known. */
class ConnectionView extends LibraryView {
  readonly headBytes = 321;
  readonly #line: string;
  readonly #isEncrypted: boolean;
  readonly #context: RequestContext;

  constructor(around: Partial<Surroundings>, line = 'GET /a?token=1 HTTP/1.0', isEncrypted = false) {
    super({ url: line.split(' ')[1] ?? '/', remoteAddress: '10.1.2.3' });
    this.#isEncrypted = isEncrypted;
    this.#line = line;
    this.#context = new KeptValues({ ...NO_SURROUNDINGS, ...around }, 1000);
  }

  override get isEncrypted(): boolean {
    return this.#isEncrypted;
  }

  override context(): RequestContext {
    return this.#context;
  }

  requestLine(): Uint8Array {
    return Buffer.from(this.#line, 'latin1');
  }
}

function read(text: string, view: RequestView): string {
  const key = compileKey(text) as CompiledKey;
  expect(key).not.toHaveProperty('error');
  return Buffer.from(key.expand(view)).toString('latin1');
}

const CONNECTION: Partial<Surroundings> = {
  remotePort: 40001,
  peerAddress: '192.0.2.7',
  peerPort: 40002,
  proxyHeader: { address: '192.0.2.8', port: 40003, serverAddress: '192.0.2.9', serverPort: 443 },
  localAddress: '127.0.0.1',
  localPort: 8000,
  connectionNumber: 12,
  requestCount: 3,
  hostname: 'pod-1',
  pid: 4711,
};

describe('variables of the connection', () => {
  it.each([
    ['$remote_port', '40001'],
    ['$realip_remote_addr $realip_remote_port', '192.0.2.7 40002'],
    ['$proxy_protocol_addr $proxy_protocol_port', '192.0.2.8 40003'],
    ['$proxy_protocol_server_addr $proxy_protocol_server_port', '192.0.2.9 443'],
    ['$server_addr $server_port', '127.0.0.1 8000'],
    ['$connection $connection_requests', '12 3'],
    ['$hostname $pid', 'pod-1 4711'],
    ['$request_length', '321'],
    ['$server_protocol', 'HTTP/1.0'],
    ['$request', 'GET /a?token=1 HTTP/1.0'],
    ['$scheme $https', 'http '],
    ['$ssl_protocol$ssl_cipher$ssl_server_name$ssl_session_reused$ssl_client_verify$ssl_client_s_dn', ''],
  ])('%s is %j', (text, value) => {
    expect(read(text, new ConnectionView(CONNECTION))).toBe(value);
  });

  it('are empty where nothing is known, as on a Unix socket', () => {
    const text =
      '$remote_port$realip_remote_port$proxy_protocol_addr$proxy_protocol_port$proxy_protocol_server_addr' +
      '$proxy_protocol_server_port$server_port';
    expect(read(text, new ConnectionView({}))).toBe('');
    // A view without a context, as the page of a Referer has, is one of which nothing is known.
    const { bytes, methodStart, methodEnd, targetStart, targetEnd } = new LibraryView({ url: '/a' });
    const bare: RequestView = {
      ...{ bytes, methodStart, methodEnd, targetStart, targetEnd, remoteAddress: '' },
      fieldValues: () => [],
      host: () => new Uint8Array(),
    };
    expect(read('$remote_port|$msec|$request_time|$request|$request_length', bare)).toBe(
      '|0.000|0.000|GET /a HTTP/1.1|0',
    );
    expect(read('$request_id', bare)).toMatch(/^[0-9a-f]{32}$/);
  });

  it('over TLS tell the handshake', () => {
    const tls = {
      serverName: 'shop.example',
      protocol: 'TLSv1.3',
      cipher: 'TLS_AES_128_GCM_SHA256',
      verification: 'SUCCESS',
      subject: 'CN=ada',
      isResumed: true,
    };
    const view = new ConnectionView({ tls }, undefined, true);
    expect(read('$scheme $https $ssl_server_name $ssl_protocol $ssl_cipher', view)).toBe(
      'https on shop.example TLSv1.3 TLS_AES_128_GCM_SHA256',
    );
    expect(read('$ssl_session_reused $ssl_client_verify $ssl_client_s_dn', view)).toBe('r SUCCESS CN=ada');
    expect(read('$ssl_session_reused', new ConnectionView({ tls: { ...tls, isResumed: false } }))).toBe('.');
  });

  it('name one request by one id, another by another', () => {
    const view = new ConnectionView({});
    const id = read('$request_id', view);
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(read('$request_id', view)).toBe(id);
    expect(read('$request_id', new ConnectionView({}))).not.toBe(id);
  });

  it.each([
    ['192.0.2.200', 'c00002c8'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8::12:34', '20010db8000000000000000000120034'],
    ['fe80::1%eth0', 'fe800000000000000000000000000001'],
    ['::ffff:0:10.1.2.3', '0000000000000000ffff00000a010203'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['unix:', '756e69783a'],
  ])('$binary_remote_addr of %s has the bytes %s', (remoteAddress, hex) => {
    const key = compileKey('$binary_remote_addr') as CompiledKey;
    const bytes = key.expand(new LibraryView({ url: '/', remoteAddress }));
    expect(Buffer.from(bytes).toString('hex')).toBe(hex);
  });
});

describe('variables of the clock', () => {
  const at = (iso: string, elapsedMs = 1000): RequestView => {
    const timeMs = Date.parse(iso);
    return new ConnectionView({ timeMs: () => timeMs, elapsedMs: () => elapsedMs });
  };
  const inZone = (zone: string): void => {
    const before = process.env.TZ;
    process.env.TZ = zone;
    onTestFinished(() => {
      if (before === undefined) delete process.env.TZ;
      else process.env.TZ = before;
    });
  };

  it.each([
    [1000, '0.000'],
    [1007.9, '0.007'],
    [4321, '3.321'],
    // A clock that two processors disagree about never makes a time before the request.
    [998, '0.000'],
  ])('$request_time at %d of a request that began at 1000 is %s', (elapsedMs, value) => {
    expect(read('$request_time', at('2026-11-26T22:43:53Z', elapsedMs))).toBe(value);
  });

  it('are those of UTC and have leading zeros', () => {
    inZone('UTC');
    const view = at('2026-01-02T03:04:05.006Z');
    expect(read('$msec', view)).toBe('1767323045.006');
    expect(read('$time_local', view)).toBe('02/Jan/2026:03:04:05 +0000');
    expect(read('$time_iso8601', view)).toBe('2026-01-02T03:04:05+00:00');
    expect(read('$date_gmt', view)).toBe('Friday, 02-Jan-2026 03:04:05 GMT');
    expect(read('$date_local', view)).toBe('Friday, 02-Jan-2026 03:04:05 UTC');
  });

  it.each([
    ['America/St_Johns', '26/Nov/2026:19:13:53 -0330', '2026-11-26T19:13:53-03:30', 'Thursday, 26-Nov-2026'],
    ['Asia/Kolkata', '27/Nov/2026:04:13:53 +0530', '2026-11-27T04:13:53+05:30', 'Friday, 27-Nov-2026'],
  ])('in %s are local, beside $date_gmt', (zone, log, iso, day) => {
    inZone(zone);
    const view = at('2026-11-26T22:43:53Z');
    expect(read('$time_local', view)).toBe(log);
    expect(read('$time_iso8601', view)).toBe(iso);
    expect(read('$date_local', view)).toContain(day);
    expect(read('$date_gmt', view)).toBe('Thursday, 26-Nov-2026 22:43:53 GMT');
  });
});

describe('variables of a response', () => {
  const RESPONSE: ResponseFacts = {
    status: 502,
    upstreamStatus: '',
    upstreamAddress: '192.0.2.1:80',
    upstreamFieldValues: (name) => (name === 'x-build' ? [Buffer.from('7'), Buffer.from('8')] : []),
    sentFieldValues: (name) => (name === 'x-sent' ? [Buffer.from('s')] : []),
  } as ResponseFacts;
  const text = (name: string, response: ResponseFacts | null): string => {
    const view = new ConnectionView({});
    view.context().response = response;
    const [prefix, make] =
      [...RESPONSE_PREFIXES].find(([one]) => name.startsWith(one)) ?? (['', null] as const);
    beginKey();
    (make?.(name.slice(prefix.length)) ?? RESPONSE_VARIABLES.get(name)!()).append(view);
    return Buffer.from(takeKey()).toString('latin1');
  };

  it.each([
    ['status', '502'],
    ['upstream_status', ''],
    ['upstream_addr', '192.0.2.1:80'],
    ['upstream_http_x_build', '7, 8'],
    ['upstream_http_x_sent', ''],
    ['sent_http_x_sent', 's'],
  ])('$%s is %j, and empty before there is one', (name, value) => {
    expect(text(name, RESPONSE)).toBe(value);
    expect(text(name, null)).toBe('');
  });

  it('$upstream_status is the status that came', () => {
    expect(text('upstream_status', { ...RESPONSE, upstreamStatus: '503' })).toBe('503');
  });
});
