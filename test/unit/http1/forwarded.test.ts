// The X-Forwarded fields that an upstream gets: what each value of `forwarded` keeps, replaces and adds.
import { describe, expect, it } from 'vitest';
import type { RequestRewrite } from '../../../src/http1/forward-request.ts';
import { CLIENT, forward, headOf } from '../../support/forwarding.ts';
import { latin1 } from '../../support/head-feeding.ts';

describe('X-Forwarded-*', () => {
  const lines = ['GET / HTTP/1.1', 'Host: h'];
  const own = [`X-Forwarded-For: ${CLIENT}`, 'X-Forwarded-Proto: http', 'X-Forwarded-Host: h'];
  const sent = (forwarded: RequestRewrite['forwarded'], ...fields: string[]) =>
    forward([...lines, ...fields], { forwarded });

  it('append writes all three for a request that brings none', () => {
    expect(sent('append')).toBe(headOf(...lines, ...own));
  });

  it('append joins what came into one field with the client address at its end', () => {
    expect(sent('append', 'X-Forwarded-For: 1.1.1.1', 'A: b', 'x-forwarded-for: 2.2.2.2, 3.3.3.3')).toBe(
      headOf(...lines, 'A: b', `X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, ${CLIENT}`, ...own.slice(1)),
    );
  });

  it('append leaves empty fields out of the list', () => {
    expect(sent('append', 'X-Forwarded-For:', 'X-Forwarded-For: 1.1.1.1')).toBe(
      headOf(...lines, `X-Forwarded-For: 1.1.1.1, ${CLIENT}`, ...own.slice(1)),
    );
    expect(sent('append', 'X-Forwarded-For:')).toBe(headOf(...lines, ...own));
  });

  it('append keeps a Proto and a Host that came', () => {
    expect(sent('append', 'X-Forwarded-Proto: https')).toBe(
      headOf(...lines, 'X-Forwarded-Proto: https', own[0]!, own[2]!),
    );
    expect(sent('append', 'X-Forwarded-Host: shop')).toBe(
      headOf(...lines, 'X-Forwarded-Host: shop', own[0]!, own[1]!),
    );
    expect(
      sent('append', 'X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop'),
    ).toBe(
      headOf(
        ...lines,
        'X-Forwarded-Proto: https',
        'X-Forwarded-Host: shop',
        `X-Forwarded-For: 1.1.1.1, ${CLIENT}`,
      ),
    );
  });

  it('replace forgets what came', () => {
    const fields = ['X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop'];
    expect(sent('replace', ...fields)).toBe(headOf(...lines, ...own));
  });

  // The attack: applications behind CGI, WSGI and Rack read all of these as HTTP_X_FORWARDED_FOR and its like.
  it.each([
    'X_Forwarded_For: 6.6.6.6',
    'X-Forwarded_For: 6.6.6.6',
    'x_forwarded-proto: https',
    'X.Forwarded.Host: evil',
    'X~Forwarded!Host: evil',
    'X-Forwarded-Port: 443',
    'X_Forwarded_Prefix: /admin',
    'X-Forwarded-Server: evil',
    'X-Forwarded-Ssl: on',
    'Forwarded: for=6.6.6.6',
    'FORWARDED: for=6.6.6.6',
  ])('replace and remove let no other spelling and no relative pass: %s', (line) => {
    expect(sent('replace', line, 'A: b')).toBe(headOf(...lines, 'A: b', ...own));
    expect(sent('remove', line, 'A: b')).toBe(headOf(...lines, 'A: b'));
    expect(sent('keep', line, 'A: b')).toBe(headOf(...lines, line, 'A: b'));
  });

  it('replace and remove leave names that only look alike', () => {
    const fields = ['X-Forward: 1', 'Forwarded-For: 1', 'X-Real-IP: 1', 'Forwarded2: 1'];
    expect(sent('remove', ...fields)).toBe(headOf(...lines, ...fields));
  });

  it('keep changes nothing, remove removes all', () => {
    const fields = ['X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop'];
    expect(sent('keep', ...fields)).toBe(headOf(...lines, ...fields));
    expect(sent('remove', ...fields)).toBe(headOf(...lines));
    expect(sent('keep')).toBe(headOf(...lines));
    expect(sent('remove')).toBe(headOf(...lines));
  });

  it('that Connection nominates are written anew: a client cannot have them left out', () => {
    const nominate = 'Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host';
    const fields = ['X-Forwarded-For: 1.1.1.1', 'X-Forwarded-Proto: https', 'X-Forwarded-Host: shop'];
    expect(sent('append', ...fields, nominate)).toBe(headOf(...lines, ...own));
    expect(sent('append', nominate)).toBe(headOf(...lines, ...own));
    expect(sent('replace', ...fields, nominate)).toBe(headOf(...lines, ...own));
  });

  it('name the authority of an absolute-form as the host', () => {
    expect(forward(['GET http://other:81 HTTP/1.1', 'Host: h'], { forwarded: 'append' })).toBe(
      headOf('GET / HTTP/1.1', 'Host: other:81', own[0]!, own[1]!, 'X-Forwarded-Host: other:81'),
    );
  });

  it("name the client's Host where the upstream's own replaces it", () => {
    expect(forward(lines, { forwarded: 'append', host: latin1('own') })).toBe(
      headOf('GET / HTTP/1.1', 'Host: own', ...own),
    );
  });

  it('name no host when HTTP/1.0 sent none', () => {
    expect(forward(['GET / HTTP/1.0'], { forwarded: 'append' })).toBe(
      headOf('GET / HTTP/1.1', 'Host: upstream.example:81', own[0]!, own[1]!),
    );
  });

  it('name no address on a Unix socket', () => {
    const facts = { address: '', isEncrypted: false, lines: latin1('X-Forwarded-Proto: http\r\n') };
    expect(forward(lines, { forwarded: 'append' }, facts)).toBe(headOf(...lines, own[1]!, own[2]!));
    expect(forward([...lines, 'X-Forwarded-For: 1.1.1.1'], { forwarded: 'append' }, facts)).toBe(
      headOf(...lines, 'X-Forwarded-For: 1.1.1.1', own[1]!, own[2]!),
    );
  });
});
