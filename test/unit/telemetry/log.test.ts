// The log's output: whole lines in order, and a reader that does not read costs lines but neither time nor memory.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { openLog } from '../../../src/telemetry/log.ts';

test('lines come whole, in order, with level and time, before close resolves', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'));
  const path = join(folder, 'log');
  try {
    const output = openLog(path);
    for (let number = 0; number < 500; number += 1) output.log.info({ number }, 'line');
    await output.close();
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).number)).toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect(JSON.parse(lines[0]!)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      number: 0,
      msg: 'line',
    });
    expect(output.linesDropped).toBe(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a stdout that nobody reads drops lines, counts them, and lets the process go on and end', async () => {
  const script = `
    const { openLog } = await import(${JSON.stringify(new URL('../../../src/telemetry/log.ts', import.meta.url).href)});
    const output = openLog();
    for (let turn = 0; turn < 50; turn += 1) {
      for (let line = 0; line < 1000; line += 1) output.log.info({ filling: 'x'.repeat(200) }, 'line');
      await new Promise((resolve) => setImmediate(resolve));
    }
    await output.close();
    process.stderr.write(String(output.linesDropped), () => process.exit(0));
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const dropped = text(child.stderr!);
  const [code] = await once(child, 'exit');
  child.stdout!.destroy();
  expect(code).toBe(0);
  expect(Number(await dropped)).toBeGreaterThan(30_000);
});
