// One spelling for each address, and which addresses a network holds.
import { expect, it } from 'vitest';
import { AddressSet, parseNetwork, spelledAddress } from '../../src/ip-address.ts';

it.each<[string, string | undefined]>([
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['::FFFF:0a00:0001', '10.0.0.1'],
  ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['::1', '::1'],
  ['fe80::1%eth0', undefined],
  ['10.0.0', undefined],
  ['010.0.0.1', undefined],
  ['unix:', undefined],
  ['', undefined],
])('the spelling of %s', (text, expected) => {
  expect(spelledAddress(text)).toBe(expected);
});

const has = (networks: string[], address: string) =>
  new AddressSet(networks.map((text) => parseNetwork(text)!)).has(address);

it.each<[string[], string, boolean]>([
  [['10.0.0.0/8'], '10.255.0.1', true],
  [['10.0.0.0/8'], '11.0.0.1', false],
  [['10.1.2.3/8'], '10.9.9.9', true],
  [['0.0.0.0/0'], '192.0.2.1', true],
  [['0.0.0.0/0'], '2001:db8::1', false],
  [['::ffff:10.0.0.0/104'], '10.1.1.1', true],
  [['fd00::/8'], 'fd12::1', true],
  [['fd00::/8'], 'fe00::1', false],
  [['2001:db8::1'], '2001:db8::1', true],
  [['unix:'], 'unix:', true],
  [['10.0.0.0/8'], 'unix:', false],
])('%s has %s: %s', (networks, address, expected) => {
  expect(has(networks, address)).toBe(expected);
});

it.each([
  '10.0.0.0/33',
  'fd00::/129',
  '10.0.0.0/',
  '/8',
  'proxy.example',
  '::ffff:10.0.0.0/95',
  '10.0.0.0/-1',
])('%s is no network', (text) => {
  expect(parseNetwork(text)).toBeUndefined();
});
