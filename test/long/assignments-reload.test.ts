// Assignment events over reloads, in one process and with workers: exactly the keys that moved get another event, and what
// is said of one split does not depend on where it stands in the file.
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { LocalService } from '../support/local-service.ts';
import { ScriptedUpstream } from '../support/scripted-upstream.ts';

const LIMIT_MS = 120_000;
const SECRET = 'a secret of a test';
const KEYS = Array.from({ length: 60 }, (_, index) => `key-${index}`);

/** How an event names these keys. */
const SENT = new Set(
  KEYS.map((key) => createHmac('sha256', SECRET).update(key).digest('base64url').slice(0, 22)),
);

interface Event {
  readonly split: string;
  readonly variant: string;
  readonly key: string;
}

let folder: string;
let upstream: ScriptedUpstream;
let service: LocalService;

beforeAll(async () => {
  upstream = await ScriptedUpstream.listen();
});
afterAll(() => upstream.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'assignments-'));
  writeFileSync(join(folder, 'secret'), SECRET);
});
afterEach(async () => {
  await service.kill();
  rmSync(folder, { recursive: true });
});

const file = () => join(folder, 'assignments.jsonl');

function yaml(workers: number, share: number, other = false): string {
  const split = (first: string) => `
    key: $arg_token
    variants:
      - { name: ${first}, share: ${share}%, upstream: "${upstream.url}" }
      - { name: b, share: "*", upstream: "${upstream.url}" }`;
  const splits = `splits:${other ? `\n  other:${split('c')}` : ''}\n  s:${split('a')}`;
  const routes = other ? 'routes: [{ path: /other, split: other }, { path: /, split: s }]' : '';
  return `workers: ${workers}
drain: { grace: 0ms }
assignments: { to: ${file()}, window: 24h, secretFile: ${join(folder, 'secret')} }
${splits}
${routes}
`;
}

/** The events that these requests cause. Each key is sent often enough to come to every worker. */
async function eventsOf(workers: number, path = '/'): Promise<Event[]> {
  const before = events().length;
  for (const key of KEYS) {
    for (let times = 0; times < (workers === 1 ? 1 : 3); times += 1) {
      expect((await service.get(`${path}?token=${key}`)).status).toBe(200);
    }
  }
  // A key that nothing was said of marks the end: workers gather events for some milliseconds.
  for (let mark = 0; mark < workers * 4; mark += 1) await service.get(`${path}?token=mark-${before}-${mark}`);
  const marks = workers * 4;
  let last = -1;
  await service.until(async () => {
    const now = events().length;
    const isSettled = now === last && now >= before + marks;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 100));
    return isSettled;
  });
  // Two workers write in an order of their own: a mark may come before an event that it should end.
  return events()
    .slice(before)
    .filter(({ key }) => SENT.has(key));
}

function events(): Event[] {
  const lines = readFileSync(file(), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Event);
}

async function reload(text: string, generation: number): Promise<void> {
  writeFileSync(join(folder, 'splitter.yaml'), text);
  service.run.signal('SIGHUP');
  await service.run.line(new RegExp(`"generation":${generation},.*"configuration accepted"`));
  await service.until(async () => {
    const status = JSON.parse((await service.admin('/status')).text) as {
      workers?: { generation: number }[];
    };
    return (status.workers ?? []).every((worker) => worker.generation === generation);
  });
}

const byKey = (some: readonly Event[]) => new Map(some.map(({ key, variant }) => [key, variant]));

test.each([1, 2])(
  'with workers: %i, the keys that a reload moves get an event, those that stay get none',
  async (workers) => {
    service = await LocalService.start(folder, yaml(workers, 50));
    const first = await eventsOf(workers);
    expect(byKey(first).size).toBe(KEYS.length);
    expect(first).toHaveLength(KEYS.length);

    await reload(yaml(workers, 90), 2);
    const moved = await eventsOf(workers);
    expect(moved.length).toBeGreaterThan(10);
    expect(byKey(moved).size).toBe(moved.length);
    for (const { key, variant } of moved) expect([byKey(first).get(key), variant]).toEqual(['b', 'a']);
    // Of 50/50 to 90/10 every key that had b and is below 90 % moves: the rest of b stays.
    const ofB = first.filter(({ variant }) => variant === 'b').length;
    expect(moved.length).toBeLessThan(ofB);

    await reload(yaml(workers, 50), 3);
    const back = await eventsOf(workers);
    expect(new Set(back.map(({ key }) => key))).toEqual(new Set(moved.map(({ key }) => key)));
    expect(back.every(({ variant }) => variant === 'b')).toBe(true);
    expect(back).toHaveLength(moved.length);
  },
  LIMIT_MS,
);

test.each([1, 2])(
  'with workers: %i, a split that is put before another one begins with nothing, and the other one goes on',
  async (workers) => {
    service = await LocalService.start(folder, yaml(workers, 50));
    expect(await eventsOf(workers)).toHaveLength(KEYS.length);
    await reload(yaml(workers, 50, true), 2);
    expect(await eventsOf(workers)).toEqual([]);
    const other = await eventsOf(workers, '/other');
    expect(other).toHaveLength(KEYS.length);
    expect(new Set(other.map(({ split }) => split))).toEqual(new Set(['other']));
  },
  LIMIT_MS,
);
