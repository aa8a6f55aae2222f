import { expect, it } from 'vitest';
import { AskedAddresses } from '../../../src/exchange/asked-addresses.ts';

const server = (endpoint: string) => ({ name: `name of ${endpoint}`, endpoint, server: { index: 0 } });

it('without a server there is nothing to name', () => {
  const asked = new AskedAddresses();
  expect(asked.addresses).toBe('');
  expect(asked.statuses(503)).toBe('');
});

it('opening a connection and sending over it, or over another one that became free, is one attempt', () => {
  const asked = new AskedAddresses();
  asked.connects(server('a:1'));
  asked.sends(server('a:1'));
  expect(asked.addresses).toBe('a:1');
  asked.reset();
  asked.connects(server('a:1'));
  asked.sends(server('b:1'));
  expect([asked.addresses, asked.statuses(200)]).toEqual(['b:1', '200']);
});

it('attempts are named in their order: a lost one as 502 unless it is said to be something else', () => {
  const asked = new AskedAddresses();
  asked.connects(server('a:1'));
  asked.connects(server('a:1'));
  asked.connects(server('b:1'));
  asked.sends(server('b:1'));
  asked.failed(404);
  asked.sends(server('unix:/c'));
  expect(asked.addresses).toBe('a:1, b:1, unix:/c');
  expect(asked.statuses(200)).toBe('502, 404, 200');
});
