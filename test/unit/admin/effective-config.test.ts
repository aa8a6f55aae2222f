// /config says the running configuration in the words of a file: read again, the words mean the same.
import { expect, test } from 'vitest';
import { describeConfig } from '../../../src/admin/effective-config.ts';
import { documentSchema } from '../../../src/config/options/document.ts';
import { fakeConfig } from '../../support/fake-running.ts';

test.each([
  ['the defaults', {}],
  [
    'every unit',
    {
      listen: [':8000', '127.0.0.1:80', '[::1]:81', 'unix:/run/x.sock'],
      admin: 'off',
      timeouts: { requestHead: '1500ms', requestBody: '90s', write: '2m', idle: '12h', tunnelIdle: '168h' },
      limits: { requestBody: '1536KiB', connections: 7 },
      drain: { grace: '0ms', deadline: '60m' },
      accessLog: { mode: 'sampled', sample: '12.34%' },
      assignments: { to: 'stdout', window: '90s', secretFile: '/etc/secret' },
      upstreams: {
        a: {
          url: 'https://a.test:8443',
          host: '$proxy_host',
          connectTimeout: '250ms',
          onDown: { fallback: 'b' },
        },
        b: {
          url: 'unix:/run/app.sock',
          pool: { maxConnections: 3, maxAge: '90s' },
          probe: { path: '/healthz', interval: '3s', timeout: '250ms' },
        },
      },
      splits: {
        appversion: {
          variants: [
            { name: 'version_1a', share: '33.33%', upstream: 'a' },
            { name: 'parked', share: '0%', upstream: 'b' },
            { name: 'version_1b', share: '*', upstream: 'b' },
          ],
        },
      },
    },
  ],
] as const)('of %s', (_, more) => {
  const { hash, upstreams, splits, routes, ...options } = fakeConfig(more);
  const described = JSON.stringify(describeConfig({ hash, upstreams, splits, routes, ...options }));
  expect(documentSchema.parse(JSON.parse(described))).toEqual({
    ...options,
    upstreams: Object.fromEntries(upstreams),
    splits: Object.fromEntries(splits),
    routes,
  });
});

test('of a set field shows the name and the variables, and no text that may be a credential', () => {
  const setHeaders = {
    Authorization: 'Bearer s3cr3t',
    'X-Api-Key': 'k3y',
    'X-Real-IP': '$remote_addr',
    'X-Forwarded-For': '$http_x_forwarded_for, $remote_addr',
    'X-Origin': '$scheme://$host',
    'X-Token': 'id-${arg_id}:s3cr3t',
    'X-Short': 'a',
    Cookie: '',
  };
  const config = fakeConfig({
    upstreams: { a: { url: 'http://a.test', setHeaders }, b: { url: 'http://b.test' } },
    upstreamDefaults: { setHeaders: { Authorization: 'Basic s3cr3t' } },
  });
  const described = JSON.parse(JSON.stringify(describeConfig(config)));
  expect(described.upstreams.a.setHeaders).toEqual({
    Authorization: '(removed)',
    'X-Api-Key': '(removed)',
    'X-Real-IP': '$remote_addr',
    'X-Forwarded-For': '$http_x_forwarded_for, $remote_addr',
    'X-Origin': '$scheme://$host',
    'X-Token': '(removed)${arg_id}(removed)',
    'X-Short': '(removed)',
    Cookie: '',
  });
  expect(described.upstreamDefaults.setHeaders).toEqual({ Authorization: '(removed)' });
});
