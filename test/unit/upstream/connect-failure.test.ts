// What is said of a connect, a handshake or a lookup that failed: the code, its meaning, and never more than is safe.
import { expect, it, test } from 'vitest';
import {
  codeOfConnectError,
  describeConnectError,
  describeLookupError,
} from '../../../src/upstream/connect-failure.ts';

const error = (code: string | undefined, more: object = {}) =>
  Object.assign(new Error('a message with 10.0.0.1:80'), code === undefined ? {} : { code }, more);

test.each([
  ['ECONNREFUSED', false, 'ECONNREFUSED'],
  ['ECONNRESET', true, 'ECONNRESET in the TLS handshake'],
  ['CERT_HAS_EXPIRED', false, 'CERT_HAS_EXPIRED: the certificate has expired'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', false, 'DEPTH_ZERO_SELF_SIGNED_CERT: the certificate is self-signed'],
  [
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    true,
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY: the authority of the certificate is not trusted',
  ],
  ['ERR_SSL_WRONG_VERSION_NUMBER', true, 'ERR_SSL_WRONG_VERSION_NUMBER: the server does not speak TLS'],
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    false,
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: the server wants a client certificate',
  ],
  ['ERR_SSL_SOMETHING_NEW', true, 'ERR_SSL_SOMETHING_NEW'],
])('%s (in the handshake: %s): %s', (code, isInHandshake, text) => {
  expect(describeConnectError(error(code), isInHandshake)).toEqual({ text, detail: '' });
});

it('a certificate for another name: the log has both names, the answer neither', () => {
  const names = { host: 'b.test', cert: { subjectaltname: 'DNS:other.example' } };
  expect(describeConnectError(error('ERR_TLS_CERT_ALTNAME_INVALID', names), true)).toEqual({
    text: 'ERR_TLS_CERT_ALTNAME_INVALID: the certificate is for another name',
    detail: 'wanted b.test, found DNS:other.example',
  });
});

it('names of a certificate are cut and made printable: its owner chooses them', () => {
  const names = { host: 'b.test', cert: { subjectaltname: `DNS:\n\x1b[31m${'x'.repeat(5000)}` } };
  const { detail } = describeConnectError(error('ERR_TLS_CERT_ALTNAME_INVALID', names), true);
  expect(detail).toMatch(/^[ -~]+$/);
  expect(detail.length).toBeLessThan(210);
});

it('an error without a code keeps its message for the log alone', () => {
  expect(describeConnectError(error(undefined), false)).toEqual({
    text: 'the connect failed',
    detail: 'a message with 10.0.0.1:80',
  });
});

it('a lookup says the code of getaddrinfo, and the name in the log alone', () => {
  expect(describeLookupError(error('EAI_AGAIN', { hostname: 'backend' }))).toEqual({
    text: 'EAI_AGAIN',
    detail: 'backend',
  });
});

it('tells the faults of TLS and a lack of resources from those of the upstream', () => {
  const codeOf = (code: string, isInHandshake = false) => codeOfConnectError(error(code), isInHandshake);
  for (const code of ['CERT_HAS_EXPIRED', 'ERR_SSL_X', 'INVALID_CA'])
    expect(codeOf(code)).toBe('UPSTREAM_TLS_FAILED');
  expect(codeOf('ECONNRESET', true)).toBe('UPSTREAM_TLS_FAILED');
  expect(codeOf('EMFILE')).toBe('RESOURCES_EXHAUSTED');
  for (const code of ['ECONNREFUSED', 'ECONNRESET']) expect(codeOf(code)).toBe('UPSTREAM_RESET');
});
