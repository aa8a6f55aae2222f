// `listen … ssl` of an nginx.conf as TLS of the listening address: its certificates by server name, client certificates,
// versions; what is noted, and what is refused.
import { describe, expect, it } from 'vitest';
import { parseNginx } from '../../../../src/config/nginx/translate.ts';
import { formatProblems } from '../../../../src/config/problem.ts';

const PAIR = 'ssl_certificate /tls/a.crt; ssl_certificate_key /tls/a.key;';
const AT_B = 'location / { proxy_pass http://b; }';

function run(text: string) {
  const outcome = parseNginx(text, '/etc/nginx/nginx.conf', { readInclude: () => [] });
  return {
    listen: outcome.config?.listen.map(({ port, tls }) => [port, tls]),
    problems: outcome.problems === undefined ? [] : formatProblems(outcome.problems),
    notes: outcome.translation?.notes ?? [],
  };
}

const server = (directives: string, listen = 'listen 443 ssl;') =>
  `server { ${listen} ${directives} ${AT_B} }`;
const tls = (more: object) => ({ clientCertificate: 'required', minVersion: 'TLSv1.2', ...more });

describe('listen with ssl', () => {
  it('has the certificate of its server, from http too, and plain addresses beside it', () => {
    expect(run(`${PAIR} ${server('', 'listen 80; listen 443 ssl;')}`).listen).toEqual([
      [443, tls({ certificates: [{ certificate: '/tls/a.crt', key: '/tls/a.key' }] })],
      [80, undefined],
    ]);
  });

  it('chooses by server_name among those of all servers, the default server first, relative paths from nginx.conf', () => {
    const b = server(
      'server_name b.example .c.example; ssl_certificate b.crt; ssl_certificate_key b.key;',
      'listen 443 ssl default_server;',
    );
    const { listen, problems } = run(`${server(`server_name a.example; ${PAIR}`)} ${b}`);
    expect(problems).toEqual([]);
    expect(listen).toEqual([
      [
        443,
        tls({
          certificates: [
            {
              certificate: '/etc/nginx/b.crt',
              key: '/etc/nginx/b.key',
              names: ['b.example', 'c.example', '*.c.example'],
            },
            { certificate: '/tls/a.crt', key: '/tls/a.key', names: ['a.example'] },
          ],
        }),
      ],
    ]);
  });

  it.each([
    ['ssl_protocols TLSv1.3;', { minVersion: 'TLSv1.3' }, []],
    ['ssl_protocols TLSv1.2;', {}, ['ssl_protocols: TLSv1.3 is spoken as well']],
    ['ssl_protocols TLSv1.1 TLSv1.2 TLSv1.3;', {}, ['ssl_protocols: versions below TLSv1.2 are not spoken']],
    ['ssl_client_certificate /ca; ssl_verify_client on;', { clientCa: '/ca' }, []],
    [
      'ssl_client_certificate /ca; ssl_verify_client optional;',
      { clientCa: '/ca', clientCertificate: 'optional' },
      [],
    ],
    ['ssl_client_certificate /ca;', {}, []],
    ['ssl_stapling on;', {}, ['OCSP responses are not stapled']],
    ['ssl_stapling off; ssl_crl off; ssl_reject_handshake off;', {}, []],
    ['http2 on;', {}, ['clients are offered HTTP/1.1 alone, not HTTP/2']],
  ])('%s', (directives, more, sentences) => {
    const { listen, problems, notes } = run(server(`${PAIR} ${directives}`));
    expect(problems).toEqual([]);
    expect(listen).toEqual([
      [443, tls({ certificates: [{ certificate: '/tls/a.crt', key: '/tls/a.key' }], ...more })],
    ]);
    expect(notes.filter((note) => /ssl_protocols|OCSP|HTTP\/2/.test(note))).toEqual(sentences);
    expect(notes.join()).not.toContain('ssl_certificate');
  });

  it.each([
    [server(''), 'server: expected ssl_certificate, because it listens with ssl, got none'],
    [
      server(`${PAIR} ssl_crl /x;`),
      'ssl_crl: expected nothing, because it cannot be kept (no list of revoked',
    ],
    [
      server(`${PAIR} ssl_verify_client on;`),
      'ssl_verify_client: expected ssl_client_certificate beside it, got none',
    ],
    [
      server(`${PAIR} ssl_client_certificate /ca; ssl_verify_client optional_no_ca;`),
      'ssl_verify_client: expected on, off or optional, got "optional_no_ca"',
    ],
    [
      server('ssl_certificate data:$x; ssl_certificate_key /k;'),
      'ssl_certificate: expected the absolute path of a PEM file',
    ],
    [
      server(`${PAIR} ssl_protocols TLSv1;`),
      'ssl_protocols: expected TLSv1.2 or TLSv1.3 among them, got "TLSv1"',
    ],
    [
      `${server(`server_name a.b; ${PAIR}`)} ${server(`${PAIR} ssl_client_certificate /ca; ssl_verify_client on;`)}`,
      'ssl_verify_client: expected the same ssl_verify_client and ssl_client_certificate for all servers at one address',
    ],
  ])('refuses %s', (text, problem) => {
    expect(run(text).problems.join('\n')).toContain(problem);
  });

  it('is what ssl_ directives are left out without', () => {
    expect(run(server(PAIR, 'listen 80;')).notes.join()).toContain(
      'no effect here: ssl_certificate, ssl_certificate_key',
    );
  });
});
