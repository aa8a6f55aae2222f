// Which file descriptors clients and upstreams may take, so that some are left for the admin port and the log.
import { describe, expect, it } from 'vitest';
import { Descriptors } from '../../../src/transport/descriptors.ts';

describe('of a limit', () => {
  it.each([
    [60, 40, 48],
    [1024, 884, 1012],
    [1_048_576, 1_047_540, 1_048_564],
  ])('of %i clients may have the first %i, upstreams those up to %i', (max, clientsEnd, refusedEnd) => {
    const { clientsEnd: clients, refusedEnd: refused } = new Descriptors(max);
    expect([clients, refused]).toEqual([clientsEnd, refusedEnd]);
  });
});

it('a connection to an upstream needs room above all that is open', () => {
  const descriptors = new Descriptors(60);
  descriptors.clients = 3;
  descriptors.countOthers(33);
  descriptors.upstreams = 14;
  expect(descriptors.hasRoomForUpstream).toBe(true);
  descriptors.upstreams = 15;
  expect(descriptors.hasRoomForUpstream).toBe(false);
});

it('without a limit there is always room', () => {
  const descriptors = new Descriptors(Number.POSITIVE_INFINITY);
  descriptors.clients = 1_000_000;
  expect(descriptors.hasRoomForUpstream).toBe(true);
  expect(descriptors.clientsEnd).toBe(Number.POSITIVE_INFINITY);
});
