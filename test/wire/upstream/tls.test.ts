// https upstreams: the certificate is verified, always. Certificates are made by openssl for this run.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { statusOf, valuesOf } from '../../support/message.ts';
import { NamedServer } from '../../support/named-server.ts';
import { type Document, startSplitter } from '../../support/splitter.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

function hasOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A server with the key and the certificate in its arguments; prints its port. */
const QUICK_SERVER = `
const [key, cert] = process.argv.slice(1).map((path) => require('node:fs').readFileSync(path));
const server = require('node:https').createServer({ key, cert }, (_, response) => response.end('quick'));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

const isMissing = !hasOpenssl();
if (isMissing) console.warn('skipped: openssl is not installed');

describe.skipIf(isMissing)('an https upstream', () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });

  /** Key and certificate of `name`, signed by the authority `ca`. */
  function issue(name: string, subjectAltName: string, ca: string): void {
    writeFileSync(at(`${name}.ext`), `subjectAltName=${subjectAltName}\n`);
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
    const signer = ['-CA', `${ca}.crt`, '-CAkey', `${ca}.key`, '-CAcreateserial'];
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...signer,
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.crt`,
    );
  }

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'splitter-tls-'));
    for (const ca of ['ca', 'other-ca']) {
      openssl(
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        `${ca}.key`,
        '-out',
        `${ca}.crt`,
        '-days',
        '2',
        '-subj',
        `/CN=${ca}`,
      );
    }
    issue('backend', 'DNS:backend.test', 'ca');
    issue('address', 'IP:127.0.0.1', 'ca');
    issue('client', 'DNS:splitter.test', 'ca');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const lookup = async () => ['127.0.0.1'];

  const pair = (name: string) => ({
    key: readFileSync(at(`${name}.key`)),
    cert: readFileSync(at(`${name}.crt`)),
  });

  async function ask(url: string, settings: Document) {
    const document = { upstreams: { u: { url, ...settings } }, routes: [{ upstream: 'u' }] };
    const splitter = await startSplitter(document, { lookup });
    const client = await splitter.client();
    const answer = await client.ask(GET);
    return { answer, client, splitter };
  }

  it('is served when an authority that is trusted signed its name, over a connection that is kept', async () => {
    const server = await NamedServer.listen('secure', '127.0.0.1', 0, pair('backend'));
    const { answer, client, splitter } = await ask(`https://backend.test:${server.port}`, {
      tls: { caFile: at('ca.crt') },
    });
    expect(answer.body).toBe('secure');
    expect((await client.ask(GET)).body).toBe('secure');
    expect(splitter.ambassador.counters.upstream('u').connectionsOpened).toBe(1);
  });

  it('gets requests that begin together on one connection where pool.pipelining says so, and answers each client', async () => {
    const server = await NamedServer.listen('secure', '127.0.0.1', 0, pair('backend'));
    const { client, splitter } = await ask(`https://backend.test:${server.port}`, {
      tls: { caFile: at('ca.crt') },
      pool: { pipelining: 4 },
    });
    const sockets = new Set<unknown>();
    const answers: (() => void)[] = [];
    server.answer = (request, response) => {
      // A request whose answer takes long on a busy machine is sent once more, alone.
      if (answers.length < 4) sockets.add(request.socket);
      answers.push(() => response.end(`own ${request.url} ${'x'.repeat(40_000)}`));
      // None is answered before all are there.
      if (answers.length === 4) for (const answer of answers) answer();
      else if (answers.length > 4) answers.at(-1)!();
    };
    const clients = [client];
    for (let i = 1; i < 4; i++) clients.push(await splitter.client());
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    for (const [i, one] of clients.entries()) one.socket.write(GET.replace('/', `/${i}`));
    for (const [i, one] of clients.entries())
      expect((await one.response()).body).toBe(`own /${i} ${'x'.repeat(40_000)}`);
    expect(sockets.size).toBe(1);
  });

  it('in another process, whose answers come before TLS calls the requests written, keeps its connections', async () => {
    const server = spawn(process.execPath, ['-e', QUICK_SERVER, at('backend.key'), at('backend.crt')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void server.kill());
    const [port] = (await once(server.stdout, 'data')) as [Buffer];
    const { splitter } = await ask(`https://backend.test:${String(port).trim()}`, {
      tls: { caFile: at('ca.crt') },
    });
    const clients = await Promise.all(Array.from({ length: 8 }, () => splitter.client()));
    for (let i = 0; i < 50; i++) {
      const answers = await Promise.all(clients.map((client) => client.ask(GET)));
      expect(answers.map(({ body }) => body)).toEqual(Array(8).fill('quick'));
    }
    expect(splitter.ambassador.counters.upstream('u').connectionsOpened).toBeLessThanOrEqual(8);
  });

  it('passes large bodies both ways', async () => {
    const server = await NamedServer.listen('secure', '127.0.0.1', 0, pair('backend'));
    server.answer = (request, response) => void request.pipe(response);
    const { client } = await ask(`https://backend.test:${server.port}`, { tls: { caFile: at('ca.crt') } });
    const body = 'x'.repeat(1_000_000);
    const echo = await client.ask(
      `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    expect(echo.body).toBe(body);
  });

  it.each([
    ['that an unknown authority signed', 'backend', 'backend.test', {}],
    [
      'that another authority than the one in caFile signed',
      'backend',
      'backend.test',
      { caFile: 'other-ca.crt' },
    ],
    ['of another name', 'backend', 'frontend.test', { caFile: 'ca.crt' }],
    [
      'of another name than serverName',
      'backend',
      'backend.test',
      { caFile: 'ca.crt', serverName: 'frontend.test' },
    ],
    ['of another address', 'backend', '127.0.0.1', { caFile: 'ca.crt' }],
  ])(
    'with a certificate %s is refused: 502 UPSTREAM_TLS_FAILED',
    async (_, certificate, host, { caFile, ...tls }: Document) => {
      const server = await NamedServer.listen('secure', '127.0.0.1', 0, pair(certificate));
      const settings = caFile === undefined ? {} : { tls: { ...tls, caFile: at(String(caFile)) } };
      const { answer } = await ask(`https://${host}:${server.port}`, settings);
      expect(statusOf(answer)).toBe(502);
      expect(valuesOf(answer, 'x-splitter-error')).toEqual(['UPSTREAM_TLS_FAILED']);
      expect(server.asked).toEqual([]);
    },
  );

  it('is verified by the name in serverName, and by its address when the URL has one', async () => {
    const named = await NamedServer.listen('named', '127.0.0.1', 0, pair('backend'));
    const tls = { caFile: at('ca.crt'), serverName: 'backend.test' };
    expect((await ask(`https://127.0.0.1:${named.port}`, { tls })).answer.body).toBe('named');
    const addressed = await NamedServer.listen('addressed', '127.0.0.1', 0, pair('address'));
    const byAddress = await ask(`https://127.0.0.1:${addressed.port}`, { tls: { caFile: at('ca.crt') } });
    expect(byAddress.answer.body).toBe('addressed');
  });

  it('that wants a client certificate gets it', async () => {
    const options = {
      ...pair('backend'),
      ca: readFileSync(at('ca.crt')),
      requestCert: true,
      rejectUnauthorized: true,
    };
    const server = await NamedServer.listen('mutual', '127.0.0.1', 0, options);
    const url = `https://backend.test:${server.port}`;
    const tls = { caFile: at('ca.crt'), certFile: at('client.crt'), keyFile: at('client.key') };
    expect((await ask(url, { tls })).answer.body).toBe('mutual');
    expect(statusOf((await ask(url, { tls: { caFile: at('ca.crt') } })).answer)).toBe(502);
  });

  it('that speaks no TLS at all is a failed connect, not a hang', async () => {
    const server = await NamedServer.listen('plain');
    const { answer } = await ask(`https://backend.test:${server.port}`, { tls: { caFile: at('ca.crt') } });
    expect(statusOf(answer)).toBe(502);
  });

  it('is probed with the same authorities', async () => {
    const server = await NamedServer.listen('secure', '127.0.0.1', 0, pair('backend'));
    const probe = { path: '/up', interval: '10ms' };
    await ask(`https://backend.test:${server.port}`, { tls: { caFile: at('ca.crt') }, probe });
    await server.until(() => server.asked.includes('/up'));
    expect(server.asked).toContain('/up');
  });
});
