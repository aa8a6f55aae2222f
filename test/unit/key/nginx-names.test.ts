// Names of nginx: those that people use most are known, slips of the pen are not.
import { expect, it } from 'vitest';
import { isNginxVariable, nginxDirectives } from '../../../src/key/nginx-names.ts';

it.each([
  'request_id',
  'date_gmt',
  'binary_remote_addr',
  'upstream_http_x',
  'sent_http_etag',
  'jwt_claim_sub',
])('the variable $%s is one of nginx', (name) => expect(isNginxVariable(name)).toBe(true));

it.each(['request_url', 'token', 'arg_', 'http_', 'path_1'])('$%s is none of nginx', (name) =>
  expect(isNginxVariable(name)).toBe(false),
);

it.each([
  'error_page',
  'proxy_hide_header',
  'proxy_cache_path',
  'gunzip',
  'http2',
  'return',
  'map',
  'stub_status',
])('the directive %s is one of nginx', (name) => expect(nginxDirectives().has(name)).toBe(true));

it.each(['proxy_pas', 'locaton', 'proxy_set_headers'])('the directive %s is none of nginx', (name) =>
  expect(nginxDirectives().has(name)).toBe(false),
);
