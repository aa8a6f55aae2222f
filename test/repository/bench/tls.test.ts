// How the figures of TLS towards clients become tables.
import { describe, expect, it } from 'vitest';
import { tlsTables } from '../../../bench/tls.ts';

describe('the tables of TLS', () => {
  const text = tlsTables([
    {
      unit: 'Request',
      costs: [
        { name: 'nginx, tuned', rounds: [10, 20, 10] },
        { name: 'ours', rounds: [15, 24, 12] },
      ],
    },
    { unit: 'Handshake', costs: [{ name: 'ours', rounds: [1000, 500] }] },
  ]);

  it('compare with nginx round by round', () => {
    expect(text).toMatch(/\| ours +\| +15\.0 \| +±40% \| +12\.0 \| +66667 \| +1\.20x \| +1\.20 to 1\.50 \|/);
  });

  it('compare nothing where nginx took no part, and say what was negotiated', () => {
    expect(text).toMatch(
      /Handshake\n\n.*\n.*\n\| ours +\| +750\.0 \| +±33% \| +500\.0 \| +1333 \| +- \| +- \|/,
    );
    expect(text).toContain('TLSv1.3, TLS_AES_256_GCM_SHA384');
  });
});
