// TLS towards clients: which certificate a name gets, what clients with and without certificates of their own get, plain
// text on a TLS port, limits of handshakes, sessions, and files that change or break while it runs.
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { Certificates } from '../../../src/downstream/certificates.ts';
import { type CertificateFiles, TestAuthority } from '../../support/certificates.ts';
import { configOf, type Document, startSplitter, startUpstream } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n';

let authority: TestAuthority;
let other: TestAuthority;
let shop: CertificateFiles;

beforeAll(() => {
  authority = new TestAuthority();
  other = new TestAuthority('another authority');
  shop = authority.issue({ names: ['shop.example'] });
});

afterAll(() => {
  authority.close();
  other.close();
});

/** A splitter with TLS before an upstream that answers with the head of the request. */
async function startTls(tls: Document = {}, more: Document = {}, options = {}) {
  const upstream = await startUpstream(async (peer) => {
    for (;;) {
      const { raw } = await peer.request();
      await peer.ok(raw);
    }
  });
  const document = {
    listen: { address: '127.0.0.1:0', tls: { ...('certificates' in tls ? {} : shop), ...tls } },
    upstreams: { u: { url: upstream.url } },
    routes: [{ upstream: 'u' }],
    ...more,
  };
  return startSplitter(document, options);
}

interface Answer {
  /** What came, with the code of an error at its end. */
  readonly text: string;
  /** Common name of the certificate that was shown. */
  readonly shown: string;
  readonly session: Buffer | undefined;
  readonly isResumed: boolean;
}

/** Sends one request over TLS. */
function ask(port: number, options: ConnectionOptions = {}): Promise<Answer> {
  return new Promise((resolve) => {
    let text = '';
    let session: Buffer | undefined;
    let shown = '';
    let isResumed = false;
    const trust = { ca: authority.caBytes, servername: 'shop.example' };
    const socket = connect({ port, host: '127.0.0.1', ...trust, ...options }, () => {
      shown = socket.getPeerX509Certificate()?.subjectAltName ?? '';
      isResumed = socket.isSessionReused();
      socket.write(GET);
    });
    socket.on('session', (bytes) => {
      session = bytes;
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      text += `error ${error.code}`;
    });
    socket.on('close', () => resolve({ text, shown, session, isResumed }));
  });
}

/** Sends bytes without TLS and reads until the connection ends. */
function askPlain(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connectPlain(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

const pemOf = ({ certificate, key }: CertificateFiles) => ({
  cert: readFileSync(certificate),
  key: readFileSync(key),
});

const faultOf = ({ text }: Answer) => /x-splitter-error: (\w+)/.exec(text)?.[1] ?? text.slice(0, 15);

describe('a client', () => {
  it('is served over TLS 1.2 and 1.3 with http/1.1 as the protocol, and its upstream hears of https', async () => {
    const splitter = await startTls();
    expect(splitter.ambassador.listening[0]).toMatch(/^https:\/\/127\.0\.0\.1:/);
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const answer = await ask(splitter.port, {
        minVersion: version,
        maxVersion: version,
        ALPNProtocols: ['h2', 'http/1.1'],
      });
      expect(answer.text).toMatch(/^HTTP\/1\.1 200 /);
      expect(answer.text).toContain('X-Forwarded-Proto: https\r\n');
    }
  });

  it('that speaks no version or protocol of ours gets an alert, which is counted by its reason', async () => {
    const splitter = await startTls({ minVersion: 'TLSv1.3' });
    const old = await ask(splitter.port, { maxVersion: 'TLSv1.2' });
    expect(old.text).toContain('ALERT_PROTOCOL_VERSION');
    const h2 = await ask(splitter.port, { ALPNProtocols: ['h2'] });
    expect(h2.text).toContain('ALERT_NO_APPLICATION_PROTOCOL');
    await expect
      .poll(() => splitter.ambassador.counters.downstream.status().tlsHandshakeFailures)
      .toEqual({ protocol: 1, alpn: 1 });
  });

  it('that sends plain text to the TLS port is answered with 400 and a code of its own', async () => {
    const splitter = await startTls();
    const answer = await askPlain(splitter.port, GET);
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(answer).toContain('x-splitter-error: TLS_EXPECTED\r\n');
    expect(splitter.ambassador.counters.downstream.status()).toMatchObject({
      refusals: { TLS_EXPECTED: 1 },
      tlsHandshakeFailures: { not_tls: 1 },
      tlsHandshakesInFlight: 0,
    });
  });

  it('that asks for another handshake on its connection is disconnected, and others are served on', async () => {
    const splitter = await startTls();
    const socket = connect({
      port: splitter.port,
      host: '127.0.0.1',
      ca: authority.caBytes,
      servername: 'shop.example',
      maxVersion: 'TLSv1.2',
    });
    await once(socket, 'secureConnect');
    const closed = once(socket, 'close');
    socket.on('error', () => undefined);
    socket.renegotiate({}, () => undefined);
    await closed;
    expect((await ask(splitter.port)).text).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('that does not finish its handshake is let go after timeouts.tlsHandshake', async () => {
    const splitter = await startTls({}, { timeouts: { tlsHandshake: '50ms' } });
    expect(await askPlain(splitter.port, Buffer.from([0x16, 3, 1]))).toBe('');
    expect(await askPlain(splitter.port, '')).toBe('');
    expect(splitter.ambassador.counters.downstream.status().tlsHandshakeFailures).toEqual({ timeout: 2 });
  });

  it('beyond limits.tlsHandshakes takes the place of one that has had a second, and is refused otherwise', async () => {
    const splitter = await startTls({}, { limits: { tlsHandshakes: 1 } });
    const silent = connectPlain(splitter.port, '127.0.0.1');
    onTestFinished(() => void silent.destroy());
    const { downstream } = splitter.ambassador.counters;
    await expect.poll(() => downstream.status().tlsHandshakesInFlight).toBe(1);
    expect((await ask(splitter.port)).text).toMatch(/^error /);
    await expect
      .poll(async () => faultOf(await ask(splitter.port)), { timeout: 20_000 })
      .toBe('HTTP/1.1 200 OK');
    expect(downstream.status().tlsHandshakeFailures.limit).toBeGreaterThan(1);
    expect(downstream.status().tlsHandshakesInFlight).toBe(0);
  });

  it('can tell a response that was cut from a whole one, also where the connection is its end', async () => {
    const upstream = await startUpstream(async (peer) => {
      await peer.request();
      await peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
      peer.reset();
    });
    const splitter = await startTls({}, { upstreams: { u: { url: upstream.url } } });
    const text = await new Promise<string>((resolve) => {
      let got = '';
      const trust = { ca: authority.caBytes, servername: 'shop.example' };
      const socket = connect({ port: splitter.port, host: '127.0.0.1', ...trust }, () =>
        socket.write('GET / HTTP/1.0\r\n\r\n'),
      );
      socket.on('data', (chunk: Buffer) => {
        got += chunk.toString('latin1');
      });
      socket.on('end', () => {
        got += 'an orderly end';
      });
      socket.on('error', ({ code }: NodeJS.ErrnoException) => {
        got += code;
      });
      socket.on('close', () => resolve(got));
    });
    expect(text).not.toContain('an orderly end');
    expect(text).toMatch(/ECONNRESET$/);
  });
});

describe('the certificate', () => {
  it('goes by the name that the client asks for: exact before wildcard, the first one for any other or none', async () => {
    const wild = authority.issue({ names: ['*.shops.example'] });
    const exact = authority.issue({ names: ['a.shops.example'] });
    const named = authority.issue({ names: ['named.example'] });
    const splitter = await startTls({
      certificates: [{ ...shop }, { ...wild }, { ...exact }, { ...named, names: ['other.example'] }],
    });
    const shownTo = async (servername: string) =>
      (await ask(splitter.port, { servername, checkServerIdentity: () => undefined })).shown;
    expect(await shownTo('shop.example')).toBe('DNS:shop.example');
    expect(await shownTo('b.shops.example')).toBe('DNS:*.shops.example');
    expect(await shownTo('A.shops.example')).toBe('DNS:a.shops.example');
    expect(await shownTo('x.y.shops.example')).toBe('DNS:shop.example');
    expect(await shownTo('other.example')).toBe('DNS:named.example');
    expect(await shownTo('named.example')).toBe('DNS:shop.example');
    expect(await shownTo('')).toBe('DNS:shop.example');
  });

  it('is renewed for new connections while old ones go on, and a pair that does not fit changes nothing', async () => {
    const [certificate, key] = ['live.crt', 'live.key'].map((name) => join(authority.folder, name));
    const take = (files: CertificateFiles) => {
      copyFileSync(files.certificate, certificate!);
      copyFileSync(files.key, key!);
    };
    take(shop);
    const splitter = await startTls({ certificate, key });
    const { ambassador, port } = splitter;
    const any = { servername: 'x.example', checkServerIdentity: () => undefined };
    const open = connect({ port, host: '127.0.0.1', ca: authority.caBytes, ...any });
    onTestFinished(() => void open.destroy());
    await new Promise((resolve) => open.once('secureConnect', resolve));
    expect(await ambassador.renewCertificates()).toEqual([]);

    const next = authority.issue({ names: ['next.example'], days: 20 });
    copyFileSync(next.certificate, certificate!);
    const problem = `${key}: expected the key of ${certificate}, got another key`;
    expect(await ambassador.renewCertificates()).toMatchObject([{ certificate, problem }]);
    expect(await ambassador.renewCertificates()).toEqual([]);
    expect(ambassador.certificates).toMatchObject([{ names: ['shop.example'], problem }]);
    expect((await ask(port, any)).shown).toBe('DNS:shop.example');

    take(next);
    expect(await ambassador.renewCertificates()).toMatchObject([{ problem: null, names: ['next.example'] }]);
    expect((await ask(port, any)).shown).toBe('DNS:next.example');
    expect(ambassador.certificates).toMatchObject([{ names: ['next.example'], problem: null }]);

    writeFileSync(certificate!, 'garbage');
    const [refused] = await ambassador.renewCertificates();
    expect(refused!.problem).toContain(`${certificate}: expected a PEM certificate, got: `);
    take(next);
    expect(await ambassador.renewCertificates()).toMatchObject([{ problem: null }]);
    const old = new Promise<string>((resolve) => open.once('data', (bytes) => resolve(bytes.toString())));
    open.write(GET);
    expect(await old).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("that is missing, no PEM, or not the key's keeps the splitter from starting", () => {
    const pair = authority.issue();
    const open = (tls: object) => {
      const config = configOf({
        listen: { address: ':0', tls },
        upstreams: { u: { url: 'http://u' } },
        routes: [{ upstream: 'u' }],
      });
      return () => new Certificates(config.listen[0]!.tls!, Buffer.alloc(48));
    };
    expect(open({ ...shop, certificate: '/nowhere' })).toThrow(/^\/nowhere: /);
    expect(open({ ...shop, key: pair.key })).toThrow('expected the key of ');
    expect(open({ ...shop, key: shop.certificate })).toThrow(
      'expected a PEM private key without a passphrase',
    );
    expect(open({ ...shop, clientCa: shop.key })).toThrow('expected PEM certificates, got: ');
    // Every file that is watched.
    expect(open({ ...shop, clientCa: authority.ca })().files).toEqual([
      shop.certificate,
      shop.key,
      authority.ca,
    ]);
    expect(open(shop)().files).toEqual([shop.certificate, shop.key]);
  });
});

describe('a client certificate', () => {
  const wishes = ['TLSv1.2', 'TLSv1.3'].flatMap((version) => [
    [version, 'required'] as const,
    [version, 'optional'] as const,
  ]);

  it.each(wishes)('over %s where it is %s', async (version, clientCertificate) => {
    const splitter = await startTls({ clientCa: authority.ca, clientCertificate });
    const only = { minVersion: version, maxVersion: version } as ConnectionOptions;
    const good = pemOf(authority.issue({ subject: '/O=shop/CN=app' }));
    const bad = pemOf(other.issue());
    const expired = pemOf(authority.issue({ days: -1 }));
    const without = clientCertificate === 'required' ? 'CLIENT_CERTIFICATE_MISSING' : 'HTTP/1.1 200 OK';
    const none = await ask(splitter.port, only);
    expect(faultOf(none)).toBe(without);
    expect(faultOf(await ask(splitter.port, { ...only, ...good }))).toBe('HTTP/1.1 200 OK');
    const refused = await ask(splitter.port, { ...only, ...bad });
    expect(faultOf(refused)).toBe('CLIENT_CERTIFICATE_INVALID');
    const late = await ask(splitter.port, { ...only, ...expired });
    expect(faultOf(late)).toBe('CLIENT_CERTIFICATE_INVALID');
    expect(late.text).toContain('certificate has expired');
    // A session that was refused, or had no certificate, is not worth more when it is resumed.
    for (const [before, files, fault] of [
      [none, {}, without],
      [refused, bad, 'CLIENT_CERTIFICATE_INVALID'],
    ] as const) {
      const again = await ask(splitter.port, { ...only, ...files, session: before.session! });
      expect(again.isResumed).toBe(true);
      expect(faultOf(again)).toBe(fault);
    }
  });
});

describe('the limit of connections', () => {
  it('closes a client before its handshake, and lets the next one in when there is room', async () => {
    const splitter = await startTls({}, { limits: { connections: 1 } });
    const first = connect({
      port: splitter.port,
      host: '127.0.0.1',
      ca: authority.caBytes,
      servername: 'shop.example',
    });
    onTestFinished(() => void first.destroy());
    await once(first, 'secureConnect');
    expect((await ask(splitter.port)).text).toMatch(/^error ECONNRESET$|^error /);
    first.destroy();
    const answered = async () => faultOf(await ask(splitter.port));
    await expect.poll(answered, { timeout: 30_000 }).toBe('HTTP/1.1 200 OK');
  });
});

describe('texts that read the handshake', () => {
  const body =
    '$scheme|$https|$ssl_server_name|$ssl_protocol|$ssl_cipher|$ssl_session_reused|$ssl_client_verify|$ssl_client_s_dn|';
  const read = async (options: ConnectionOptions) => {
    const tls = { clientCa: authority.ca, clientCertificate: 'optional' };
    const splitter = await startTls(tls, { routes: [{ respond: { status: 200, body } }] });
    return (await ask(splitter.port, options)).text.split('\r\n\r\n')[1]!.split('|').slice(0, -1);
  };

  it('have its name in lower case, its protocol, its cipher and the subject of the client', async () => {
    const pem = pemOf(authority.issue({ subject: '/O=shop/CN=app' }));
    const only = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', servername: 'SHOP.example' } as const;
    const facts = await read({ ...only, ...pem, ciphers: 'TLS_AES_128_GCM_SHA256' });
    expect(facts).toEqual([
      ...['https', 'on', 'shop.example', 'TLSv1.3', 'TLS_AES_128_GCM_SHA256', '.', 'SUCCESS'],
      'CN=app,O=shop',
    ]);
    const without = await read({ ...only, ciphers: 'TLS_AES_256_GCM_SHA384' });
    expect(without.slice(4)).toEqual(['TLS_AES_256_GCM_SHA384', '.', 'NONE', '']);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'have the name that a resumed session of %s asks for',
    async (version) => {
      const splitter = await startTls({}, { routes: [{ respond: { status: 200, body } }] });
      const only = { minVersion: version, maxVersion: version, servername: 'shop.example' } as const;
      const first = await ask(splitter.port, only);
      const again = await ask(splitter.port, { ...only, session: first.session! });
      expect(again.isResumed).toBe(true);
      expect(again.text).toContain('https|on|shop.example|');
      expect(again.text).toContain('|r|');
    },
  );
});

describe('a session', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'of %s is resumed by another process that has the same ticket keys',
    async (version) => {
      const ticketKeys = Buffer.alloc(48, 7);
      const only = { minVersion: version, maxVersion: version };
      const [first, second, stranger] = await Promise.all([
        startTls({}, {}, { ticketKeys }),
        startTls({}, {}, { ticketKeys }),
        startTls(),
      ]);
      const { session } = await ask(first.port, only);
      const resume = async (port: number) => (await ask(port, { ...only, session: session! })).isResumed;
      expect(await resume(second.port)).toBe(true);
      expect(await resume(stranger.port)).toBe(false);
      expect(second.ambassador.counters.downstream.status()).toMatchObject({
        tlsHandshakes: 1,
        tlsHandshakesResumed: 1,
      });
    },
  );
});
