// The bench on real processes, as short as it can be: that it measures and reports, never what it measures.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { findProgram } from '../../bench/processes.ts';
import type { Results } from '../../bench/results.ts';

const root = join(import.meta.dirname, '..', '..');
const scratch = mkdtempSync(join(tmpdir(), 'bench-test-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const bench = (...args: string[]) =>
  promisify(execFile)(process.execPath, [join(root, 'bench', 'run.ts'), ...args], { cwd: scratch });

describe.runIf(process.platform === 'linux')('npm run bench', () => {
  it('takes turns, prints a table and writes every round as JSON', { timeout: 120_000 }, async () => {
    const file = join(scratch, 'results.json');
    const { stdout } = await bench(
      ...['--only', 'small-get,starts', '--rivals', 'http-proxy,node-undici'],
      ...['--rounds', '2', '--seconds', '0.4', '--json', file],
    );
    expect(stdout).toMatch(/\| http-proxy +\| +\d+\.\d \|/);
    const results = JSON.parse(readFileSync(file, 'utf8')) as Results;
    expect(results.machine.node).toBe(process.version);
    expect(results.scenarios.map(({ name }) => name)).toEqual(['small-get']);
    for (const row of results.scenarios.flatMap(({ rows }) => rows)) {
      expect(row.turns).toHaveLength(2);
      for (const turn of row.turns) {
        expect(turn).toMatchObject({ errors: 0, complete: true });
        expect(turn.answered).toBeGreaterThan(0);
        expect(turn.cpuMicroseconds).toBeGreaterThan(0);
        expect(turn.memoryMiB).toBeGreaterThan(0);
      }
    }
    expect(results.starts.map(({ startMs }) => startMs.length)).toEqual([3, 3]);
  });

  it('sends by the clock at the rate of the scenario, and measures the way without a proxy too', {
    timeout: 120_000,
  }, async () => {
    const file = join(scratch, 'rate.json');
    await bench(
      ...['--only', 'post-4k,rate-2000', '--rivals', 'http-proxy'],
      ...['--rounds', '1', '--seconds', '0.5', '--json', file],
    );
    const results = JSON.parse(readFileSync(file, 'utf8')) as Results;
    expect(results.scenarios.map(({ name }) => name)).toEqual(['post-4k', 'rate-2000']);
    expect(results.scenarios[0]!.rows[0]!.turns[0]).toMatchObject({ errors: 0, complete: true });
    const [direct, proxied] = results.scenarios[1]!.rows;
    expect(direct?.rival).toBe('direct');
    // The last request may fall on either side of the end of the turn.
    for (const row of [direct, proxied]) {
      const { answered, errors } = row!.turns[0]!;
      expect(Math.abs(answered + errors - 2000)).toBeLessThanOrEqual(1);
    }
  });

  it.skipIf(findProgram('nginx') === undefined || findProgram('openssl') === undefined)(
    'measures TLS beside nginx, with everybody on the same cipher, and says what others used of the machine',
    { timeout: 120_000 },
    async () => {
      const { stdout } = await bench(
        '--tls',
        '--rounds',
        '1',
        '--seconds',
        '0.1',
        '--main',
        inject('builtMain'),
      );
      for (const load of [
        'Request on a kept connection',
        'Request of 64 KiB on a kept connection',
        'New handshake',
        'Resumed handshake',
      ])
        expect(stdout).toMatch(
          new RegExp(`^${load}\\n\\n(?:.*\\n){3}\\| request-splitter +\\| +\\d+\\.\\d \\|.*\\dx \\|`, 'm'),
        );
      expect(stdout).toMatch(/other programs used \d+\.\d\d of \d+ cores/);
    },
  );

  it('names what it does not know, with what it knows', async () => {
    await expect(bench('--rivals', 'nobody')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/expected one of request-splitter .*, got nobody/),
    });
    const { stdout } = await bench('--help');
    expect(stdout).toContain('--quick');
  });
});
