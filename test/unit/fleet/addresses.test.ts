// Names and addresses of a fleet as a user writes them, and what they stand for.
import { describe, expect, test } from 'vitest';
import { findAddresses, parseFleetName } from '../../../src/fleet/addresses.ts';

describe('a target', () => {
  test.each([
    ['frontend-splitter', { host: 'frontend-splitter', port: 9901 }],
    ['frontend-splitter.shop.svc:9000', { host: 'frontend-splitter.shop.svc', port: 9000 }],
    ['10.0.0.7:9901', { host: '10.0.0.7', port: 9901 }],
    ['[::1]:9901', { host: '::1', port: 9901 }],
    ['[fd00::7]', { host: 'fd00::7', port: 9901 }],
  ])('%s is a host and a port', (text, expected) => {
    expect(parseFleetName(text)).toEqual(expected);
  });

  test.each(['', ':9901', 'a b', 'http://frontend:9901', 'frontend:0', 'frontend:65536', '[::g]:1', '::1'])(
    '%j is none',
    (text) => {
      expect(parseFleetName(text)).toBeUndefined();
    },
  );
});

test('a name without an address is a sentence, and an address that is named twice is asked once', async () => {
  const found = await findAddresses([
    { host: '10.0.0.7', port: 9901 },
    { host: '10.0.0.7', port: 9901 },
    { host: '::1', port: 9901 },
    { host: 'nowhere.invalid', port: 9901 },
  ]);
  expect(found.addresses).toEqual([
    { name: '[::1]:9901', origin: 'http://[::1]:9901' },
    { name: '10.0.0.7:9901', origin: 'http://10.0.0.7:9901' },
  ]);
  expect(found.problems).toEqual([expect.stringMatching(/^nowhere\.invalid: no address \(E/)]);
});
