import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PermanentError } from '../../../src/errors.ts';
import { readDatabaseFamilies } from '../../../src/http/metrics/database-families.ts';
import { settleFailure, succeed } from '../../../src/operations/settle.ts';
import { foldTallies, LONG_BOUNDS, readTallies, SHORT_BOUNDS } from '../../../src/operations/tallies.ts';
import type { Family } from '../../../src/telemetry/families.ts';
import {
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  order,
} from '../../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());

const read = () => readDatabaseFamilies({ database: at.database, watched: undefined, at: new Date() });
const value = (families: readonly Family[], name: string, labels: Record<string, string> = {}, suffix = '') =>
  families
    .find((family) => family.name === `agent_stacks_${name}`)
    ?.samples.find(
      (sample) =>
        (sample.suffix ?? '') === suffix &&
        Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
    )?.value;

it('has the same bounds in the database as here', () => {
  const migration = readFileSync(
    new URL('../../../src/database/migrations/0027-telemetry.ts', import.meta.url),
    'utf8',
  );
  for (const bounds of [SHORT_BOUNDS, LONG_BOUNDS]) expect(migration).toContain(`= [${bounds.join(', ')}];`);
});

/** What is counted in the rows themselves. */
async function recount(): Promise<Record<string, number>> {
  const { rows } = await sql<{ key: string; count: number }>`
    select kind || ' ' || status as key, count(*) from operations group by 1
    union all select status, count(*) from agents group by 1`.execute(at.database);
  return Object.fromEntries(rows.map(({ key, count }) => [key, count]));
}

async function tallied(): Promise<Record<string, number>> {
  const tallies = await readTallies(at.database);
  return Object.fromEntries([
    ...(tallies.get('operations') ?? []).map(({ labels, count }) => [
      `${labels.kind} ${labels.status}`,
      count,
    ]),
    ...(tallies.get('agents') ?? []).map(({ labels, count }) => [labels.status, count]),
  ]);
}

it('counts what the rows say at any time, before and after it is added up', async () => {
  const deps = { database: at.database, queue: at.queue };
  for (const agentId of ['a1', 'a2', 'a3']) await order(at, agentId);
  expect(await tallied()).toEqual(await recount());
  const first = await claim(at);
  expect(await tallied()).toEqual(await recount());
  await succeed(deps, first.claim, { kind: 'running', outputs: OUTPUTS });
  const second = await claim(at);
  await settleFailure(deps, second.claim, { error: new PermanentError('no'), step: 'creating_server' });
  expect(await tallied()).toEqual(await recount());
  // Two processes add up at the same time, and a scrape reads meanwhile.
  const folded = await Promise.all([foldTallies(at.database), foldTallies(at.database), tallied()]);
  expect((folded[0] as number) + (folded[1] as number)).toBeGreaterThan(10);
  expect(await tallied()).toEqual(await recount());
  const { rows } = await sql<{ left: number }>`select count(*) as left from tally_changes`.execute(
    at.database,
  );
  expect(rows[0]?.left).toBe(0);

  const families = await read();
  expect(value(families, 'agents', { status: 'running' })).toBe(1);
  expect(
    value(families, 'operation_duration_seconds', { kind: 'provision', outcome: 'succeeded' }, '_count'),
  ).toBe(1);
  expect(
    value(families, 'operation_duration_seconds', { kind: 'provision', outcome: 'failed' }, '_count'),
  ).toBe(1);
  expect(value(families, 'queue_wait_seconds', { kind: 'provision' }, '_count')).toBe(2);
  expect(value(families, 'running_seconds', { way: 'cold' }, '_count')).toBe(1);
  expect(value(families, 'running_seconds', { way: 'cold', le: '+Inf' }, '_bucket')).toBe(1);
  expect(value(families, 'running_seconds', { way: 'warm' }, '_count')).toBe(0);
});

it('an operation that moves from failed back to the queue is counted once', async () => {
  await sql`update operations set status = 'queued', finished_at = null where status = 'failed'`.execute(
    at.database,
  );
  expect(await tallied()).toEqual(await recount());
});

it('counts again what came in without triggers, and keeps what cannot be counted again', async () => {
  await foldTallies(at.database);
  const waits = async () => (await readTallies(at.database)).get('queue_wait') ?? [];
  // No worker has added it up yet.
  await sql`insert into tally_changes (tally, labels, count, seconds)
    values ('queue_wait', '{"kind": "provision", "le": "1"}', 1, 0.7)`.execute(at.database);
  const waited = await waits();
  await sql`update tallies set count = count + 5`.execute(at.database);
  expect(await tallied()).not.toEqual(await recount());
  await sql`update tallies set count = count - 5 where tally = 'queue_wait'`.execute(at.database);
  await sql`select recount_tallies()`.execute(at.database);
  expect(await tallied()).toEqual(await recount());
  expect(await waits()).toEqual(waited);
});

it('counts an event under the outcome that it has in the end', async () => {
  const count = async () =>
    Object.fromEntries(
      ((await readTallies(at.database)).get('stripe_events') ?? [])
        .filter((tally) => tally.count > 0)
        .map((tally) => [tally.labels.outcome, tally.count]),
    );
  await sql`insert into stripe_events (id, type, livemode, payload, outcome, created_at)
    values ('evt_1', 't', false, '{}', 'acted', now()), ('evt_2', 't', false, '{}', 'acted', now())`.execute(
    at.database,
  );
  expect(await count()).toEqual({ acted: 2 });
  await sql`update stripe_events set outcome = 'ignored' where id = 'evt_1'`.execute(at.database);
  await sql`update stripe_events set outcome = outcome, reason = 'r' where id = 'evt_2'`.execute(at.database);
  expect(await count()).toEqual({ acted: 1, ignored: 1 });
});

it('counts holds and notices that wait', async () => {
  await sql`insert into holds (agent_id, reason, since, by_whom) values ('a1', 'abuse', now(), 'test')`.execute(
    at.database,
  );
  const families = await read();
  expect(value(families, 'holds', { reason: 'abuse' })).toBe(1);
  expect(value(families, 'holds', { reason: 'payment' })).toBe(0);
  expect(value(families, 'notices_pending')).toBe(0);
});
