// The command line as a whole, in this process: help, version, wrong usage, and the health check against an admin port.
import { stripVTControlCharacters } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { type AdminServer, startAdmin } from '../../src/admin/server.ts';
import { runProgram } from '../../src/cli/program.ts';
import { runCommand } from '../support/command.ts';
import { fakeRunning } from '../support/fake-running.ts';

const run = (words: readonly string[], environment: Record<string, string> = {}, columns?: number) =>
  runCommand(words, { environment, columns });

describe('help', () => {
  test('names the commands, the environment, examples and exit codes, and fits 80 columns', async () => {
    const { code, out, err } = await run(['--help']);
    expect([code, err]).toEqual([0, '']);
    for (const word of ['serve', 'demo', 'check', 'healthcheck', 'LISTEN', 'SPLIT_KEY', 'Examples:']) {
      expect(out).toContain(word);
    }
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  test.each(['serve', 'demo', 'check', 'healthcheck'])('of %s names its flags', async (command) => {
    const { code, out } = await run([command, '--help']);
    expect(code).toBe(0);
    expect(out).toContain(`Usage: request-splitter ${command}`);
    expect(out).toContain('--listen <ADDRESS>');
  });
});

describe('help by other words', () => {
  test.each([
    [['help'], ['--help']],
    [['help', 'help'], ['--help']],
    [
      ['help', 'check'],
      ['check', '--help'],
    ],
  ])('%j is %j', async (words, same) => {
    expect(await run(words)).toEqual(await run(same));
    expect((await run(words)).code).toBe(0);
  });

  test.each([[['version']], [['-v']]])('%j is --version', async (words) => {
    expect(await run(words)).toEqual(await run(['--version']));
  });

  test('of a command that there is not is wrong usage', async () => {
    expect(await run(['help', 'chekc'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean "check"?'),
    });
  });

  test.each([60, 70, 79, 200])('fits a terminal of %i columns', async (columns) => {
    for (const words of [['help'], ['help', 'check'], ['help', 'explain']]) {
      const { out } = await run(words, {}, columns);
      // The example that is to be copied stays in one line.
      const lines = out.split('\n').filter((line) => !line.startsWith("  SPLIT='50%"));
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(Math.min(columns, 80));
    }
  });
});

test('--version prints the version alone', async () => {
  expect(await run(['--version'])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  });
});

test.each([
  [['--nonsense'], '--nonsense'],
  [['serve', 'extra'], 'extra'],
  [['serv'], 'expected one of the commands serve, demo'],
  [['--listen'], '--listen'],
])('%j is wrong usage: exit code 2, what is wrong, and where help is', async (argv, sentence) => {
  const { code, out, err } = await run(argv);
  expect([code, out]).toEqual([2, '']);
  expect(err).toContain(sentence);
  expect(err).toContain('--help');
});

describe('problems', () => {
  const check = async (hasColors: boolean) => {
    let err = '';
    await runProgram(['check'], {
      environment: { SPLIT: '50 http://a' },
      hasColors,
      writeOut: () => undefined,
      writeErr: (text) => {
        err += text;
      },
      onSignal: () => undefined,
    });
    return err;
  };

  test('have colors on a terminal that shows them, the same text without', async () => {
    expect(await check(false)).not.toContain('\u001b');
    expect(await check(true)).toMatch(
      /^\u001b\[1mSPLIT:1\u001b\[22m: expected .*, got \u001b\[31m"50"\u001b\[39m\n/,
    );
    expect(stripVTControlCharacters(await check(true))).toBe(await check(false));
  });
});

describe('healthcheck', () => {
  let admin: AdminServer;
  const running = fakeRunning();
  afterEach(() => admin.close());

  const check = async (environment: Record<string, string> = {}) => {
    admin = await startAdmin(running, { host: '127.0.0.1', port: 0, path: null });
    return run(['healthcheck'], {
      SPLIT: '* http://a.test',
      ADMIN: admin.address.replace('http://', ''),
      ...environment,
    });
  };

  test('answers 0 for a splitter that is ready, without a word', async () => {
    expect(await check()).toEqual({ code: 0, out: '', err: '' });
  });

  test('answers 1 with the reason for one that is not ready', async () => {
    running.state = 'draining';
    expect(await check()).toMatchObject({ code: 1, err: expect.stringContaining('not ready: draining') });
  });

  test('answers 1 when nobody answers', async () => {
    admin = await startAdmin(running, { host: '127.0.0.1', port: 0, path: null });
    const address = admin.address.replace('http://', '');
    await admin.close();
    const { code, err } = await run(['healthcheck'], { SPLIT: '* http://a.test', ADMIN: address });
    expect(code).toBe(1);
    expect(err).toContain(`http://${address} does not answer`);
  });

  test('answers 1 when the admin port is off', async () => {
    expect(await check({ ADMIN: 'off' })).toMatchObject({ code: 1, err: expect.stringContaining('off') });
  });

  test('reaches every address through loopback, and a Unix socket', async () => {
    running.state = 'serving';
    admin = await startAdmin(running, { host: null, port: 0, path: null });
    const port = new URL(admin.address).port;
    for (const address of [`:${port}`, `0.0.0.0:${port}`]) {
      expect(await run(['healthcheck'], { SPLIT: '* http://a.test', ADMIN: address })).toMatchObject({
        code: 0,
      });
    }
    await admin.close();
    const path = `/tmp/admin-${process.pid}.sock`;
    admin = await startAdmin(running, { host: null, port: 0, path });
    expect(await run(['healthcheck'], { SPLIT: '* http://a.test', ADMIN: `unix:${path}` })).toMatchObject({
      code: 0,
    });
  });
});
