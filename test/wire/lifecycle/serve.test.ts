// `serve` as a process: what it logs, what it answers on both ports, what each signal does, how it ends.
import { createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Echo, startEcho } from '../../../src/demo/echo.ts';
import { type ProgramOptions, ProgramRun } from '../../support/program.ts';

const ANY = '127.0.0.1:0';
const KEYS = Array.from({ length: 60 }, (_, index) => `key-${index}`);

let folder: string;
let a: Echo;
let b: Echo;
let run: ProgramRun;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'serve-'));
  [a, b] = await Promise.all([startEcho('a'), startEcho('b')]);
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await Promise.all([a.close(), b.close()]);
});
afterEach(() => run.kill());

const serve = (environment: Record<string, string> = {}, ...args: string[]) => {
  run = new ProgramRun(args, {
    LISTEN: ANY,
    ADMIN: ANY,
    SPLIT: `a=50% ${a.url}; b=* ${b.url}`,
    ...environment,
  });
  return run;
};

interface Serving {
  listening: string[];
  admin: string;
  hash: string;
}
const serving = () => run.event<Serving & Record<string, unknown>>('serving');

async function numbers(admin: string): Promise<string[]> {
  return (await (await fetch(`${admin}/metrics`)).text()).split('\n');
}

describe('a start', () => {
  test('is one log line with addresses, splits and hash', async () => {
    serve();
    const started = await serving();
    expect(started).toMatchObject({
      level: 'info',
      msg: 'serving',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      listening: [expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/)],
      admin: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      generation: 1,
      hash: expect.stringMatching(/^[0-9a-f]{12}$/),
      key: { default: '$arg_token' },
      splits: {
        default: [
          { variant: 'a', share: '50%', upstream: a.url },
          { variant: 'b', share: '50%', upstream: b.url },
        ],
      },
    });
    expect(run.stdout.trim().split('\n')).toHaveLength(1);
    expect(run.stderr).toBe('');
  });

  test('`serve` by name is the same as no command', async () => {
    serve({}, 'serve');
    expect((await serving()).generation).toBe(1);
  });

  test('without an admin port says so', async () => {
    serve({ ADMIN: 'off' });
    expect((await serving()).admin).toBe('off');
  });

  test('with a configuration that is not good prints every problem and ends with 1', async () => {
    serve({ SPLIT: '150% http://a; x http://b' });
    expect(await run.exitCode).toBe(1);
    expect(run.stderr).toMatch(/SPLIT:1.*expected a percentage.*\n.*SPLIT:16?.*/);
    expect(run.stdout).toBe('');
  });

  test('on a port that is taken is one sentence with address and remedy, and ends with 1', async () => {
    const other = createTcpServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    try {
      serve({ LISTEN: taken });
      expect(await run.exitCode).toBe(1);
      expect(run.stderr).toBe(
        `request-splitter: cannot listen on ${taken} (the port for requests): another program uses it. Stop that program, or choose another address with --listen or LISTEN\n`,
      );
      serve({ ADMIN: taken, LISTEN: taken.replace('127.0.0.1', 'localhost') });
      expect(await run.exitCode).toBe(1);
      expect(run.stderr.split('\n')).toEqual([
        expect.stringMatching(/ \(the admin port\): another program uses it/),
        expect.stringMatching(/ \(the port for requests\): another program uses it/),
        '',
      ]);
      serve({ ADMIN: taken });
      expect(await run.exitCode).toBe(1);
      expect(run.stderr).toBe(
        `request-splitter: cannot listen on ${taken} (the admin port): another program uses it. Stop that program, or choose another address with --admin or ADMIN\n`,
      );
    } finally {
      other.close();
    }
  });
});

describe('traffic', () => {
  test('is counted per variant as it was answered, and explained as it went', async () => {
    serve();
    const { listening, admin } = await serving();
    const answers: Record<string, number> = { 'a\n': 0, 'b\n': 0 };
    for (const key of KEYS) {
      const answer = await (await fetch(`${listening[0]}/?token=${key}`)).text();
      answers[answer]! += 1;
      const explained = (await (await fetch(`${admin}/explain?url=/?token=${key}`)).json()) as {
        variant: string;
      };
      expect(explained.variant).toBe(answer.trim());
    }
    await (await fetch(`${listening[0]}/`)).text();
    const lines = await numbers(admin);
    const labels = (name: string, url: string) => `{split="default",variant="${name}",upstream="${url}"`;
    expect(lines).toContain(`splitter_requests_total${labels('a', a.url)},code="2xx"} ${answers['a\n']}`);
    expect(lines).toContain(
      `splitter_requests_total${labels('b', b.url)},code="2xx"} ${answers['b\n']! + 1}`,
    );
    expect(lines).toContain(`splitter_missing_keys_total${labels('b', b.url)}} 1`);
    expect(lines).toContain(
      `splitter_request_duration_seconds_count${labels('a', a.url)}} ${answers['a\n']}`,
    );
    expect(lines).toContain(`splitter_requests_in_flight${labels('a', a.url)}} 0`);
  });

  test('that nobody answers is counted with its code and blame', async () => {
    const gone = await startEcho('gone');
    await gone.close();
    serve({ SPLIT: `gone=* ${gone.url}` });
    const { listening, admin } = await serving();
    expect((await fetch(`${listening[0]}/?token=1`)).status).toBe(502);
    const lines = await numbers(admin);
    expect(lines).toContain(
      `splitter_request_faults_total{split="default",variant="gone",upstream="${gone.url}",code="UPSTREAM_CONNECT_FAILED",blame="upstream"} 1`,
    );
    const ready = await fetch(`${admin}/readyz`);
    expect(ready.status).toBe(200);
  });
});

describe('events', () => {
  const configure = (more: string) => {
    const file = join(folder, 'events.yaml');
    writeFileSync(
      file,
      `${more}\nsplits: { s: { variants: [{ name: a, share: 50%, upstream: "${a.url}" }, { name: b, share: "*", upstream: "${b.url}" }] } }\n`,
    );
    return file;
  };
  const start = (more: string) => {
    run = new ProgramRun([], { LISTEN: ANY, ADMIN: ANY, CONFIG: configure(more) });
    return serving();
  };

  test('the access log has a line per exchange, without query and key', async () => {
    const { listening } = await start('accessLog: { mode: all }');
    await (await fetch(`${listening[0]}/path?token=alice`)).text();
    const line = await run.event('exchange');
    expect(line).toMatchObject({
      level: 'info',
      method: 'GET',
      path: '/path',
      status: 200,
      split: 's',
      variant: 'a',
      reason: 'share',
      keyHash: (479601241).toString(16).padStart(8, '0'),
      upstream: a.url,
      totalMs: expect.any(Number),
      client: '127.0.0.1',
    });
    await fetch(`${listening[0]}/?token=alice`, {
      method: 'GET',
      headers: { 'content-type': 'secret-value' },
    });
    run.signal('SIGTERM');
    run.signal('SIGTERM');
    await run.exitCode;
    expect(run.stdout).not.toMatch(/alice|token=|secret-value/);
  });

  test('a key that a split assigned gets one event, with its keyed hash', async () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'sesame\n');
    const { listening } = await start(`assignments: { to: stdout, secretFile: ${secret} }`);
    for (const token of ['alice', 'alice', 'user-42']) {
      await (await fetch(`${listening[0]}/?token=${token}`)).text();
    }
    await (await fetch(`${listening[0]}/`)).text();
    run.signal('SIGINT');
    await run.exitCode;
    const events = run.stdout
      .split('\n')
      .filter((line) => line.includes('"msg":"assignment"'))
      .map((line) => JSON.parse(line));
    const keyOf = (key: string) =>
      createHmac('sha256', 'sesame').update(key).digest('base64url').slice(0, 22);
    expect(events).toMatchObject([
      { split: 's', variant: 'a', key: keyOf('alice'), generation: 1 },
      { split: 's', variant: 'b', key: keyOf('user-42'), generation: 1 },
    ]);
    expect(run.stdout).not.toContain('sesame');
  });

  test('assignments without a secret, or with one that cannot be read, do not start', async () => {
    run = new ProgramRun([], { LISTEN: ANY, ADMIN: ANY, CONFIG: configure('assignments: { to: stdout }') });
    expect(await run.exitCode).toBe(1);
    expect(run.stderr).toContain('assignments.secretFile: expected the path of a file with the secret');
    const file = configure('assignments: { to: stdout, secretFile: /nowhere/secret }');
    run = new ProgramRun([], { LISTEN: ANY, ADMIN: ANY, CONFIG: file });
    expect(await run.exitCode).toBe(1);
    expect(run.stderr).toMatch(
      /^request-splitter: assignments\.secretFile: expected a file that can be read, got [^\n]+\n$/,
    );
  });

  test('assignments may go to a file of their own; one that cannot be opened is one sentence', async () => {
    const [secret, to] = [join(folder, 'secret'), join(folder, 'assignments.jsonl')];
    writeFileSync(secret, 'sesame');
    const { listening } = await start(`assignments: { to: ${to}, secretFile: ${secret} }`);
    await (await fetch(`${listening[0]}/?token=alice`)).text();
    run.signal('SIGINT');
    await run.exitCode;
    expect(run.stdout).not.toContain('assignment');
    expect(JSON.parse(readFileSync(to, 'utf8'))).toMatchObject({ variant: 'a', msg: 'assignment' });
    const file = configure(`assignments: { to: /nowhere/x, secretFile: ${secret} }`);
    run = new ProgramRun([], { LISTEN: ANY, ADMIN: ANY, CONFIG: file });
    expect(await run.exitCode).toBe(1);
    expect(run.stderr).toMatch(
      /^request-splitter: assignments\.to: expected a file that can be written, got [^\n]+\n$/,
    );
  });

  test('unique keys are counted once each, and not for requests without a key', async () => {
    const { listening, admin } = await start('');
    for (const token of ['alice', 'alice', 'user-42', 'alice']) {
      await (await fetch(`${listening[0]}/?token=${token}`)).text();
    }
    await (await fetch(`${listening[0]}/`)).text();
    const lines = await numbers(admin);
    expect(lines).toContain('splitter_unique_keys{split="s",variant="a"} 1');
    expect(lines).toContain('splitter_unique_keys{split="s",variant="b"} 1');
  });
});

test('a stdout that nobody reads stops neither the traffic nor the end: lines are dropped and counted', async () => {
  const [listen, port] = [join(folder, 'listen.sock'), join(folder, 'admin.sock')];
  const file = join(folder, 'blocked.yaml');
  writeFileSync(
    file,
    `listen: "unix:${listen}"\nadmin: "unix:${port}"\naccessLog: { mode: all }\ndrain: { grace: 0ms }\nsplits: { s: { variants: [{ name: a, share: "*", upstream: "${a.url}" }] } }\n`,
  );
  run = new ProgramRun([], { CONFIG: file }, { readsOutput: false });
  const splitter = new Pool('http://localhost', { socketPath: listen, connections: 8 });
  const admin = new Pool('http://localhost', { socketPath: port });
  try {
    await vi.waitUntil(() => existsSync(listen), { timeout: 20_000 });
    // Some 3 KB of log for each, until more is waiting than may wait.
    for (let round = 0; round < 50; round += 1) {
      const answers = Array.from({ length: 16 }, (_, index) =>
        splitter.request({ method: 'GET', path: `/${'x'.repeat(3000)}?token=${round}-${index}` }),
      );
      for (const { statusCode, body } of await Promise.all(answers)) {
        expect(statusCode).toBe(200);
        await body.dump();
      }
    }
    const { body } = await admin.request({ method: 'GET', path: '/metrics' });
    const dropped = /^splitter_log_lines_dropped_total\{reason="slow_reader"\} (\d+)$/m.exec(
      await body.text(),
    )?.[1];
    expect(Number(dropped)).toBeGreaterThan(0);
  } finally {
    await Promise.all([splitter.destroy(), admin.destroy()]);
  }
  run.signal('SIGTERM');
  expect(await run.exited).toBe(0);
});

describe('signals', () => {
  let held: { response: ServerResponse | null; arrived: Promise<void> };
  let slow: Server;
  let file: string;

  beforeEach(async () => {
    const arrived = Promise.withResolvers<void>();
    held = { response: null, arrived: arrived.promise };
    slow = createServer((request, response) => {
      if (request.url?.startsWith('/slow')) {
        held.response = response;
        arrived.resolve();
      } else response.end('quick\n');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => slow.once('listening', resolve));
    file = join(folder, 'splitter.yaml');
    configure(50);
  });
  afterEach(() => {
    slow.closeAllConnections();
    slow.close();
  });

  const configure = (percent: number, drain = '{ grace: 20s, deadline: 60s }') => {
    const upstream = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`;
    writeFileSync(
      file,
      `drain: ${drain}\nsplits:\n  s:\n    variants:\n      - { name: a, share: ${percent}%, upstream: ${upstream} }\n      - { name: b, share: "*", upstream: ${b.url} }\n`,
    );
  };
  const serveFile = (options: ProgramOptions = {}) => {
    run = new ProgramRun([], { LISTEN: ANY, ADMIN: ANY, CONFIG: file }, options);
    return serving();
  };

  test('SIGQUIT drains as SIGTERM does', async () => {
    configure(50, '{ grace: 0ms, deadline: 60s }');
    await serveFile();
    run.signal('SIGQUIT');
    expect(await run.exitCode).toBe(0);
    expect(run.stdout).toContain('"msg":"drained"');
  });

  test('SIGTERM drains: /readyz turns 503, what runs is finished, what still comes is served, then exit code 0', async () => {
    configure(100, '{ grace: 3s, deadline: 60s }');
    const { listening, admin } = await serveFile();
    expect((await fetch(`${admin}/readyz`)).status).toBe(200);
    const answer = fetch(`${listening[0]}/slow?token=1`);
    await held.arrived;
    run.signal('SIGTERM');
    expect(await run.event('draining')).toMatchObject({ signal: 'SIGTERM' });
    const ready = await fetch(`${admin}/readyz`);
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('draining')]);
    expect(await numbers(admin)).toContain('splitter_draining 1');
    const late = await fetch(`${listening[0]}/?token=1`);
    expect([late.status, late.headers.get('connection'), await late.text()]).toEqual([
      200,
      'close',
      'quick\n',
    ]);
    held.response!.end('slow\n');
    expect(await (await answer).text()).toBe('slow\n');
    expect(await run.exitCode).toBe(0);
    expect(run.stdout).toContain('"msg":"drained"');
  });

  test('a drain that reaches its deadline ends with 0 and says so', async () => {
    configure(100, '{ grace: 0ms, deadline: 50ms }');
    const { listening } = await serveFile();
    const answer = fetch(`${listening[0]}/slow?token=1`).catch((cause: Error) => cause);
    await held.arrived;
    run.signal('SIGTERM');
    expect(await run.exitCode).toBe(0);
    expect(run.stdout).toContain('"msg":"drain deadline passed"');
    await answer;
  });

  test('a second signal while draining ends at once with 1', async () => {
    configure(100);
    const { listening } = await serveFile();
    const answer = fetch(`${listening[0]}/slow?token=1`).catch((cause: Error) => cause);
    await held.arrived;
    run.signal('SIGTERM');
    await run.event('draining');
    run.signal('SIGTERM');
    expect(await run.exitCode).toBe(1);
    expect(await answer).toBeInstanceOf(Error);
  });

  test('SIGINT ends at once with 0', async () => {
    await serveFile();
    run.signal('SIGINT');
    expect(await run.exitCode).toBe(0);
    expect(run.stdout).toContain('"msg":"stopped"');
  });

  test('no signal is needed: a file that changes is used', async () => {
    const { listening } = await serveFile();
    configure(100);
    expect(await run.event('configuration accepted')).toMatchObject({ generation: 2 });
    for (const key of KEYS.slice(0, 10)) {
      expect(await (await fetch(`${listening[0]}/?token=${key}`)).text()).toBe('quick\n');
    }
  });

  test('a change of what is taken once at the start is a warning', async () => {
    await serveFile();
    configure(50, '{ grace: 1s }\naccessLog: { mode: all }');
    expect(await run.event('a change of these options needs a restart')).toMatchObject({
      options: ['accessLog'],
    });
  });

  test('what is probably not meant is a warning at the start and after a reload', async () => {
    const warned = (key: string) =>
      writeFileSync(
        file,
        `splits:\n  s:\n    key: ${key}\n    variants: [{ name: a, share: 50%, upstream: ${a.url} }, { name: b, share: "*", upstream: ${b.url} }]\n`,
      );
    warned('$http_x-user');
    await serveFile();
    expect(await run.event('configuration warning')).toMatchObject({
      level: 'warn',
      warning: expect.stringMatching(
        /splitter\.yaml:3:10 splits\.s\.key: reads \$http_x and then the text "-user"/,
      ),
    });
    warned('$arg_user-id');
    run.signal('SIGHUP');
    await run.event('configuration accepted');
    await expect.poll(() => run.stdout.match(/"configuration warning"/g)?.length).toBe(2);
    expect(run.stdout).toContain('reads $arg_user and then the text');
  });

  test('SIGHUP takes a changed file into use, and keeps what runs when the file is bad', async () => {
    // From the sources, whose thread that reads a file is another one than that of the build.
    const { listening, admin, hash } = await serveFile({ fromSource: true });
    configure(100);
    run.signal('SIGHUP');
    const accepted = await run.event('configuration accepted');
    expect(accepted).toMatchObject({
      generation: 2,
      key: { s: '$arg_token' },
      splits: { s: [expect.objectContaining({ share: '100%' }), expect.objectContaining({ share: '0%' })] },
      moved: { s: '50%' },
    });
    expect(accepted.hash).not.toBe(hash);
    for (const key of KEYS.slice(0, 10)) {
      expect(await (await fetch(`${listening[0]}/?token=${key}`)).text()).toBe('quick\n');
    }
    configure(101);
    run.signal('SIGHUP');
    const refused = await run.event('configuration refused');
    expect(refused).toMatchObject({
      level: 'error',
      hash: accepted.hash,
      problems: [expect.stringMatching(/splitter\.yaml:5:\d+ splits\.s\.variants\[0\]\.share: expected/)],
    });
    const lines = await numbers(admin);
    expect(lines).toContain('splitter_config_last_reload_successful 0');
    expect(lines).toContain('splitter_config_generation 2');
    expect((await fetch(`${admin}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${listening[0]}/?token=1`)).text()).toBe('quick\n');
  });
});
