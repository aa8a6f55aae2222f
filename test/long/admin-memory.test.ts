// How much memory 500 hostile clients of the admin port leave with the process, measured on the built program. They left 20 to
// 55 MiB once: garbage of half-read heads and of sockets. `scripts/admin-memory.ts` prints the figures of all attacks.
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { attack } from '../support/admin-attacks.ts';
import { ProgramRun } from '../support/program.ts';

const GROWTH_MAX_MIB = 16;
/** Where all cores are busy V8 collects late: one quiet moment in so many attempts shows what the process keeps. */
const ATTEMPTS_MAX = 4;
const PATHS = ['/healthz', '/metrics', '/status?registers', '/history'];

/** Growth of the memory of a process of its own, in MiB, while it answers 100 probes beside the attack. */
async function growthUnder(name: string): Promise<number> {
  const program = new ProgramRun(['serve', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'], {
    SPLIT: '50% http://127.0.0.1:9; * http://127.0.0.1:9',
  });
  try {
    const { admin } = (await program.event('serving')) as { admin: string };
    const anonymousMiB = async (): Promise<number> =>
      Number(/RssAnon:\s+(\d+)/.exec(await readFile(`/proc/${program.pid}/status`, 'utf8'))![1]) / 1024;
    for (let round = 0; round < 40; round += 1) {
      for (const path of PATHS) await (await fetch(admin + path)).arrayBuffer();
    }
    const before = await anonymousMiB();
    let peak = before;
    const stop = attack(name, Number(new URL(admin).port), 500);
    try {
      for (let probe = 0; probe < 100; probe += 1) {
        const answer = await fetch(`${admin}/healthz`, { headers: { connection: 'close' } });
        expect(answer.status).toBe(200);
        peak = Math.max(peak, await anonymousMiB());
      }
    } finally {
      stop();
    }
    return peak - before;
  } finally {
    program.kill();
  }
}

const isLinux = process.platform === 'linux';
if (!isLinux) console.warn('skipped: growth under attack, which is read from /proc');
test.skipIf(!isLinux).each(['half-heads', 'drip-reconnect', 'connect-flood', 'mixed'])(
  '500 connections of the attack %s cost less than 16 MiB',
  async (name) => {
    const growths: number[] = [];
    do growths.push(await growthUnder(name));
    while (growths.at(-1)! >= GROWTH_MAX_MIB && growths.length < ATTEMPTS_MAX);
    expect(Math.min(...growths)).toBeLessThan(GROWTH_MAX_MIB);
  },
);
