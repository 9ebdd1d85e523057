import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { checkStamp } from '../../../src/database/stamp.ts';
import { backupProbe, readBackups } from '../../../src/reconcile/checks/backup-probe.ts';
import { runProbe } from '../../../src/reconcile/checks/probe.ts';
import { type OperationsFixture, openOperations } from '../../support/operations-fixture.ts';

let at: OperationsFixture;
let folder: string;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await sql`delete from backups`.execute(at.database);
  await checkStamp(at.database, { mode: 'live', accounts: {} });
  await sql`update installation set created_at = now() - interval '90 days'`.execute(at.database);
  folder = await mkdtemp(join(tmpdir(), 'agent-stacks-backup-probe-'));
  return () => rm(folder, { recursive: true });
});

const record = () => join(folder, 'newest.json');
const check = (mostHours: number | undefined = 24) =>
  runProbe(backupProbe(readBackups(at.database, record()), mostHours));
const made = (hoursAgo: number) =>
  sql`insert into backups (started_at, finished_at, location) values (
    now() - make_interval(hours => ${hoursAgo}), now() - make_interval(hours => ${hoursAgo}), '/backups/one')`.execute(
    at.database,
  );

test('nothing is watched unless it is configured', async () => {
  expect(await runProbe(backupProbe(readBackups(at.database, record()), undefined))).toMatchObject({
    ok: true,
    detail: expect.stringContaining('not watched'),
  });
});

test('a backup that the service made is enough, without any record', async () => {
  expect(await check()).toMatchObject({ ok: false, detail: 'No backup is known' });
  await made(2);
  expect(await check()).toMatchObject({ ok: true, detail: 'the newest backup is 2 hours old' });
});

test('the newer one counts: the service’s own, or that of another job', async () => {
  await made(72);
  expect(await check()).toMatchObject({ ok: false, detail: expect.stringContaining('72 hours old') });
  await writeFile(record(), JSON.stringify({ finishedAt: new Date(Date.now() - 3_600_000).toISOString() }));
  expect(await check()).toMatchObject({ ok: true, detail: 'the newest backup is 1 hours old' });
  await writeFile(record(), JSON.stringify({ finishedAt: '2020-01-01T00:00:00Z' }));
  expect(await check()).toMatchObject({ ok: false, detail: expect.stringContaining('72 hours old') });
});

test('says why the last attempt failed', async () => {
  await made(72);
  await sql`insert into backups (finished_at, error) values (now(), 'S3 answered PUT with 403')`.execute(
    at.database,
  );
  expect(await check()).toMatchObject({ ok: false, detail: expect.stringContaining('PUT with 403') });
});

test('a new installation has time for its first one', async () => {
  await sql`update installation set created_at = now()`.execute(at.database);
  expect(await check()).toMatchObject({ ok: true, detail: expect.stringContaining('none was made yet') });
  await sql`insert into backups (finished_at, error) values (now(), 'no')`.execute(at.database);
  expect(await check()).toMatchObject({ ok: false });
});
