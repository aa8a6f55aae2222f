// How the time for compiling routes grows with the number of their hosts: a reload does it while requests wait.
import { expect, it } from 'vitest';
import { compileMatches, compileRoutes } from '../../../src/routing/routes.ts';
import { growth, LINEAR_MAX } from '../../support/growth.ts';
import { configOf } from '../../support/splitter.ts';

const SIZE = 1000;

it('routes with a host each are compiled in a time that grows with their number', () => {
  const configs = new Map(
    [SIZE, 8 * SIZE].map(
      (size) =>
        [
          size,
          configOf({
            routes: Array.from({ length: size }, (_, i) => ({ host: `h${i}.example`, upstream: 'http://a' })),
          }),
        ] as const,
    ),
  );
  const compile = (size: number) => {
    const config = configs.get(size)!;
    compileRoutes(config, [...config.routes.keys()], compileMatches(config));
  };
  expect(growth(compile, SIZE)).toBeLessThan(LINEAR_MAX);
});

it('named hosts beside wildcards are compiled in a time that grows with their number', () => {
  const configs = new Map(
    [SIZE, 8 * SIZE].map(
      (size) =>
        [
          size,
          configOf({
            routes: Array.from({ length: size }, (_, i) => ({
              host: i % 2 === 0 ? `a.h${i}.example` : `*.h${i - 1}.example`,
              upstream: 'http://a',
            })),
          }),
        ] as const,
    ),
  );
  const compile = (size: number) => {
    const config = configs.get(size)!;
    compileRoutes(config, [...config.routes.keys()], compileMatches(config));
  };
  expect(growth(compile, SIZE)).toBeLessThan(LINEAR_MAX);
});
