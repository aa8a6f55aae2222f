// The realip directives and `listen … proxy_protocol` become trustedProxies and proxyProtocol.
import { expect, it } from 'vitest';
import { asking, good, run } from '../../../support/nginx-conf.ts';

it('what the blocks say becomes trustedProxies, with the defaults of nginx', () => {
  expect(
    good(asking({ server: 'set_real_ip_from 10.0.0.0/8; set_real_ip_from unix:;' })).document,
  ).toMatchObject({
    trustedProxies: { from: ['10.0.0.0/8', 'unix:'], header: 'X-Real-IP', recursive: false },
  });
  expect(
    good(
      asking({
        http: 'set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;',
        server: 'set_real_ip_from fd00::/8; real_ip_recursive on;',
      }),
    ).document,
  ).toMatchObject({ trustedProxies: { from: ['fd00::/8'], header: 'X-Forwarded-For', recursive: true } });
});

it('without set_real_ip_from nobody is trusted', () => {
  expect(good(asking({ http: 'real_ip_header X-Forwarded-For;' })).config.trustedProxies).toBeUndefined();
});

it('a listen with proxy_protocol takes the header, whichever of its servers says so', () => {
  const { config } = good(`set_real_ip_from 10.0.0.1; real_ip_header proxy_protocol;
server { listen 80; listen 81; location / { proxy_pass http://a; } }
server { listen 80 proxy_protocol; listen 81; server_name b; location / { proxy_pass http://b; } }`);
  expect(config.listen.map(({ port, proxyProtocol }) => [port, proxyProtocol === true])).toEqual([
    [80, true],
    [81, false],
  ]);
  expect(config.trustedProxies?.header).toBe('proxyProtocol');
});

it.each([
  ['a name', asking({ http: 'set_real_ip_from proxy.example;' }), 'a name is not looked up'],
  ['a network too large', asking({ http: 'set_real_ip_from 10.0.0.0/40;' }), 'got "10.0.0.0/40"'],
  [
    'another word',
    asking({ http: 'set_real_ip_from 10.0.0.1; real_ip_recursive yes;' }),
    'expected on or off',
  ],
  [
    'blocks that do not agree',
    asking({ server: 'location /x { set_real_ip_from 10.0.0.1; proxy_pass http://a; }' }),
    'the same for all locations',
  ],
  [
    'the protocol without a listen that takes it',
    asking({ http: 'set_real_ip_from 10.0.0.1; real_ip_header proxy_protocol;' }),
    'no address in listen has proxyProtocol',
  ],
])('%s is refused', (_what, text, problem) => {
  expect(run(text).problems).toEqual([expect.stringContaining(problem)]);
});

it('the address of the connection as a key is warned of where no proxy is trusted', () => {
  const split = 'split_clients $remote_addr $v { 50% a; * b; }';
  const server = 'server { location / { proxy_pass http://$v; } }';
  const warnings = (more: string) =>
    run(`${more} ${split} ${server}`).findings.filter(({ level }) => level === 'warning');
  expect(warnings('')).toEqual([
    expect.objectContaining({ sentence: expect.stringContaining('is the address of the connection') }),
  ]);
  expect(warnings('set_real_ip_from 10.0.0.1;')).toEqual([]);
});
