import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createVault } from '../../src/agents/secrets.ts';
import { EnvironmentReader } from '../../src/config/environment-reader.ts';
import { poolSizesAt, readPool } from '../../src/config/pool.ts';
import { toWanted } from '../../src/pool/keeper.ts';
import { planSlots } from '../../src/pool/plan-slots.ts';
import { applyProjects, listOpenProjects, setDraining } from '../../src/projects/projects.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import { Secret } from '../../src/secret.ts';
import { recordDemands } from '../../src/slots/demands.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';
import { addPool, addSlot, slot } from '../support/slots.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await applyProjects(at.database, [
    project('default'),
    project('us', ['ash', 'hil'], 3),
    project('eu', ['nbg1']),
  ]);
});

const project = (name: string, locations?: string[], mostServers?: number) => ({
  name,
  locations,
  mostServers,
});
const drain = (name: string) =>
  at.database.transaction().execute((trx) => setDraining(trx, name, { drains: true, by: 'ann' }));
const settings = { configurationVersion: 'v1', healthPort: 8088, loginServer: undefined } as never;

/** What a worker with this `POOL` wants now. */
async function wantedOf(pool: string) {
  const reader = new EnvironmentReader({ POOL: pool });
  const { entries = [], timezone } = readPool(reader);
  expect(reader.problems).toEqual([]);
  return toWanted(
    settings,
    poolSizesAt({ entries, timezone }, new Date()),
    await listOpenProjects(at.database),
  );
}
const short = ({ project, location, plan, size }: Awaited<ReturnType<typeof wantedOf>>[number]) =>
  `${project} ${location}/${plan}=${size}`;

test('a pool is in the project that its entry names, or in the first that takes something there', async () => {
  const pool = 'eu-central/starter=2, us:us-east/pro=1, eu:nbg1/starter=1';
  expect((await wantedOf(pool)).map(short)).toEqual([
    'default nbg1/starter=2',
    'us ash/pro=1',
    'eu nbg1/starter=1',
  ]);
});

test('a pool without a name moves on when its project is drained, and one with a name is given up', async () => {
  await drain('default');
  expect((await wantedOf('nbg1/starter=2, eu:nbg1/starter=3, default:fsn1/starter=1')).map(short)).toEqual([
    'eu nbg1/starter=3',
  ]);
});

test('the slots of a drained project are removed, and nobody gets one', async () => {
  const vault = createVault(new Secret('passphrase'));
  await addPool(at, 1);
  const slotId = await addSlot(at, vault);
  await drain('default');
  await recordDemands(at.database, 'w1', await wantedOf('default:nbg1/starter=1'));
  expect(await planSlots(at.database)).toEqual({ retired: 1, added: 0 });
  expect((await slot(at, slotId)).status).toBe('removing');
});

test('a pool takes no more places than its project has, and says so', async () => {
  await recordDemands(at.database, 'w1', await wantedOf('us:ash/starter=5'));
  expect(await planSlots(at.database)).toEqual({ retired: 0, added: 3 });
  expect(await planSlots(at.database)).toEqual({ retired: 0, added: 0 });
  const pool = await at.database.selectFrom('pools').selectAll().executeTakeFirstOrThrow();
  expect(pool).toMatchObject({ error: expect.stringContaining('project us has'), paused_until: null });
  await recordDemands(at.database, 'w1', await wantedOf('us:ash/starter=3'));
  await planSlots(at.database);
  expect(await at.database.selectFrom('pools').select('error').execute()).toEqual([{ error: null }]);
});

test('a pool in a project that is only drained is no error', async () => {
  await recordDemands(at.database, 'w1', await wantedOf('us:ash/starter=5'));
  await planSlots(at.database);
  await planSlots(at.database);
  await drain('us');
  await recordDemands(at.database, 'w1', await wantedOf('us:ash/starter=5'));
  await planSlots(at.database);
  expect(await listAttention(at.database, { limit: 50 })).toEqual([]);
});
