// The log's output: whole lines in order, and a reader that does not read costs lines but neither time nor memory.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { cutLine, openLog } from '../../../src/telemetry/log.ts';
import { DROP_REASONS } from '../../../src/telemetry/log-device.ts';
import { readableLine } from '../../../src/telemetry/readable-line.ts';

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
    expect([...output.linesDropped]).toEqual(DROP_REASONS.map(() => 0));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a level leaves out what is milder, but no lines that are formatted already', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'));
  const path = join(folder, 'log');
  try {
    const output = openLog(path, { level: 'warn' });
    output.log.info('mild');
    output.log.warn('warning');
    output.writeBytes(Buffer.from('{"msg":"line"}\nrest'), 15);
    await output.close();
    const lines = readFileSync(path, 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['warning', 'line']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('on a terminal', () => {
  const time = '2026-11-27T09:05:07.042Z';
  const local = new Date(time).toTimeString().slice(0, 8);

  test('a line is time, level, message and the other members by name', () => {
    const line = {
      level: 'warn',
      time,
      upstream: 'http://b:80',
      problems: ['one two'],
      ms: 1.5,
      msg: 'it fails',
    };
    expect(readableLine(`${JSON.stringify(line)}\n`)).toBe(
      `${local}.042 warn  it fails upstream=http://b:80 problems=["one two"] ms=1.5\n`,
    );
  });

  test('values with spaces, quotes or nothing in them are quoted, and nothing steers the terminal', () => {
    const line = {
      level: 'info',
      time,
      path: '/a b',
      empty: '',
      quoted: 'say "x"',
      escape: '\x1b[2J\x9b2J\u202e',
    };
    expect(readableLine(JSON.stringify(line))).toBe(
      `${local}.042 info  path="/a b" empty="" quoted="say \\"x\\"" escape="\\u001b[2J\\u009b2J\\u202e"\n`,
    );
    expect(readableLine(`{"msg":"\\u001b[2J\\nnext"}`)).not.toMatch(/\x1b|\nn/);
  });

  test('what is no JSON stays as it is', () => {
    expect(readableLine('plain\n')).toBe('plain\n');
  });
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
    process.stderr.write(String(output.linesDropped[0]), () => process.exit(0));
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

describe('a line of an output that other processes write to', () => {
  const line = (members: object) => `${JSON.stringify({ level: 'info', time: 't', ...members, msg: 'm' })}\n`;

  test('stays as it is up to the 4096 bytes that a pipe keeps together', () => {
    const full = line({ path: 'x'.repeat(4096 - line({ path: '' }).length) });
    expect(Buffer.byteLength(full)).toBe(4096);
    expect(cutLine(full)).toBe(full);
  });

  test('has its long texts and lists cut when it is longer, and says so', () => {
    const cut = cutLine(line({ path: 'ü'.repeat(4000), status: 200, problems: Array(40).fill('p') }));
    expect(JSON.parse(cut)).toEqual({
      level: 'info',
      time: 't',
      path: `${'ü'.repeat(256)}...`,
      status: 200,
      problems: Array(8).fill('p'),
      msg: 'm',
      isCut: true,
    });
    expect(cut.endsWith('\n')).toBe(true);
  });

  test('loses what is nested, then all but its time, level and message, until it fits', () => {
    const splits = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`split-${index}`, []]));
    expect(JSON.parse(cutLine(line({ splits, version: '1' })))).toEqual({
      level: 'info',
      time: 't',
      version: '1',
      msg: 'm',
      isCut: true,
    });
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`member-${index}`, index]));
    expect(JSON.parse(cutLine(line(many)))).toEqual({ level: 'info', time: 't', msg: 'm', isCut: true });
  });

  test('is in one piece with what other processes write', async () => {
    const script = `
      const { openLog } = await import(${JSON.stringify(new URL('../../../src/telemetry/log.ts', import.meta.url).href)});
      const output = openLog(1, { isShared: true });
      for (let turn = 0; turn < 20; turn += 1) {
        for (let line = 0; line < 20; line += 1) output.log.info({ filling: 'ü'.repeat(line * 50) }, 'line');
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await output.close();
      process.exit(0);
    `;
    // Both write to one pipe. A process that does nothing else reads it: close() waits a second for a reader, no longer.
    const both = '{ "$0" --input-type=module -e "$1" & "$0" --input-type=module -e "$1"; wait; } | cat';
    const file = join(mkdtempSync(join(tmpdir(), 'log-')), 'lines');
    const shell = spawn('/bin/sh', ['-c', both, process.execPath, script], {
      stdio: ['ignore', openSync(file, 'w'), 'inherit'],
    });
    await once(shell, 'exit');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.map((one) => JSON.parse(one).msg)).toEqual(Array(800).fill('line'));
  });
});
