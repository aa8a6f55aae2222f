// The adapter pod played for real: PostgreSQL, and the exporter that translates its numbers for Prometheus.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildText, readManifests } from '../support/kustomize.ts';
import { restarted } from './support/change.ts';
import { cluster } from './support/cluster.ts';
import { eventually, textOf } from './support/look.ts';

const pods = cluster();
const objects = readManifests(buildText('k8s/adapter'));
let url = '';

beforeAll(async () => {
  await pods.apply(objects);
  url = await pods.forward('svc/db', 9187);
});
afterAll(() => pods.down(objects));

/** The metrics once they have this line. */
const metricsThatSay = (line: string, limitMs?: number) =>
  eventually(
    () => textOf(`${url}/metrics`),
    (text) => text.split('\n').includes(line),
    limitMs,
  );

/** The database's container takes commands now. */
function isRunning(): boolean {
  try {
    pods.exec('postgresql', 'postgresql', ['true']);
    return true;
  } catch {
    return false;
  }
}

const sql = (statement: string) =>
  pods
    .exec('postgresql', 'postgresql', [
      'psql',
      '-h',
      '/var/run/postgresql',
      '-U',
      'postgres',
      '-tAc',
      statement,
    ])
    .trim();

test("/metrics says pg_up 1, with the database's own numbers", async () => {
  const text = await metricsThatSay('pg_up 1');
  expect(text).toMatch(/^pg_stat_database_xact_commit\{.*datname="postgres".*\} [1-9]/m);
});

test('the exporter reads as a monitor, not as superuser', () => {
  expect(
    sql(
      "select rolsuper, pg_has_role('exporter', 'pg_monitor', 'member') from pg_roles where rolname = 'exporter'",
    ),
  ).toBe('f|t');
});

test('a new pod finds the data of the old one', async () => {
  sql('create table kept (word text)');
  sql("insert into kept values ('here')");
  await pods.apply(restarted(objects, 'StatefulSet', 'postgresql', 'now'));
  await metricsThatSay('pg_up 1');
  expect(sql('select word from kept')).toBe('here');
});

test('a database that is down leaves the metrics reachable: pg_up 0 until it is back', async () => {
  // It is killed again where it came back before a look could see it away; then it stays away for longer (back-off).
  await eventually(
    async () => {
      if (isRunning()) pods.kill('postgresql', 'postgresql');
      return textOf(`${url}/metrics`);
    },
    (text) => text.split('\n').includes('pg_up 0'),
  );
  await metricsThatSay('pg_up 1', 120_000);
});
