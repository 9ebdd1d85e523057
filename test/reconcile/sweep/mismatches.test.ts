import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { SweepReport } from '../../../src/reconcile/sweep/sweeps.ts';
import { openSweepFixture, type SweepFixture } from '../../support/sweep-fixture.ts';

let fixture: SweepFixture;
beforeAll(async () => {
  fixture = await openSweepFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  await fixture.empty();
  await sql`truncate notices, slots cascade`.execute(fixture.database);
});

/** SSH keys of agents that nobody knows: three pages of them. */
const strangers = () =>
  fixture.cloud.query(
    `INSERT INTO hetzner_ssh_keys (name, fingerprint, public_key, labels, created_at)
     SELECT 'agent-s' || n, md5(n::text), 'ssh-ed25519 AAAA', jsonb_build_object('agent-id', 's' || n, 'operation-id', 'op', 'managed-by', 'agents'), now()
     FROM generate_series(1, 120) n`,
  );
const found = async () =>
  (await fixture.database.selectFrom('findings').select('key').where('source', '=', 'sweep').execute())
    .length;
const told = async () =>
  (
    await fixture.database
      .selectFrom('notices')
      .select('data')
      .where('type', '=', 'fleet.mismatch')
      .orderBy('sequence')
      .execute()
  ).map(({ data }) => data as { cause: string; cure: string });

/** Enough for two pages. */
const SHORT = { maxCalls: 18 };

/** Sweeps in parts until all lists are read. @returns how many parts that took */
async function sweepAll(): Promise<number> {
  for (let parts = 1; parts < 10; parts += 1) {
    const report: SweepReport = await fixture.sweep(SHORT);
    if (report.next === null) return parts;
  }
  throw new Error('The sweeps do not come to an end');
}

test('where one sweep cannot list everything, what has gone is forgotten at the end of the next whole cycle', async () => {
  await strangers();
  expect(await sweepAll()).toBeGreaterThan(1);
  expect(await found()).toBe(120);
  await fixture.cloud.query(`DELETE FROM hetzner_ssh_keys WHERE name LIKE 'agent-s1%'`);
  expect(await sweepAll()).toBeGreaterThan(1);
  const { rows } = await fixture.cloud.query('SELECT 1 FROM hetzner_ssh_keys');
  expect(rows.length).toBeLessThan(120);
  expect(await found()).toBe(rows.length);
});

test('a sweep tells the operator once a reason, with some names and how many there are', async () => {
  await strangers();
  await fixture.sweep();
  const notices = await told();
  expect(notices).toHaveLength(1);
  expect(notices[0]!.cause).toMatch(
    /^120 resources: SSH key agent-s\d+ \(\d+\), .* and 110 more\. The first: /,
  );
  expect(notices[0]!.cause.length).toBeLessThan(2_000);
  await fixture.sweep();
  expect(await told()).toHaveLength(1);
  await fixture.server('another');
  await fixture.sweep();
  expect((await told())[1]!.cause).toMatch(/^Server agent-another .* is unknown\.$/);
});

test('what cannot be stored does not stop the paging, and nothing is forgotten for it', async () => {
  await strangers();
  await sweepAll();
  await sql`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no room'; end $$`.execute(
    fixture.database,
  );
  await sql`create trigger refuse before insert on findings for each row execute function refuse()`.execute(
    fixture.database,
  );
  try {
    await expect(fixture.sweep(SHORT)).rejects.toThrow('no room');
  } finally {
    await sql`drop function refuse cascade`.execute(fixture.database);
  }
  const { next, note } = await fixture.database
    .selectFrom('sweeps')
    .select(['next', 'note'])
    .orderBy('sweep_id', 'desc')
    .executeTakeFirstOrThrow();
  expect(next).toMatchObject({ projects: { default: { list: 'ssh-keys' } } });
  expect(note).toContain('no room');
  await sweepAll();
  expect(await found()).toBe(120);
  await sweepAll();
  expect(await found()).toBe(120);
  expect((await told()).length).toBeLessThanOrEqual(3);
});

test('a server that waits for its agent, and is no agent, is stored without one', async () => {
  const slotId = 'slot-0123456789abcdef01234567';
  await sql`insert into slots (slot_id, project, location, plan, fingerprint, status)
    values (${slotId}, 'default', 'nbg1', 'starter', 'f', 'removed')`.execute(fixture.database);
  await fixture.server(slotId, { name: 'by-hand' });
  await fixture.sweep();
  const rows = await fixture.database.selectFrom('findings').select(['key', 'agent_id']).execute();
  expect(rows).toEqual([{ key: expect.stringMatching(/^not-ours server /), agent_id: null }]);
});

test('what concerns an agent is stored with it', async () => {
  await fixture.agent('ada', { status: 'destroyed' });
  await fixture.server('ada', { name: 'by-hand' });
  await fixture.sweep();
  const rows = await fixture.database.selectFrom('findings').select('agent_id').execute();
  expect(rows).toEqual([{ agent_id: 'ada' }]);
});
