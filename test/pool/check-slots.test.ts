import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createVault } from '../../src/agents/secrets.ts';
import { checkSlots } from '../../src/pool/check-slots.ts';
import { planSlots } from '../../src/pool/plan-slots.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import { Secret } from '../../src/secret.ts';
import { recordDemands } from '../../src/slots/demands.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';
import { addSlot, FINGERPRINT, slot } from '../support/slots.ts';

const vault = createVault(new Secret('passphrase'));
const { signal } = new AbortController();
let at: OperationsFixture;
let failed: Set<string>;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  failed = new Set();
});

interface Answers {
  isHealthy(tailnetIp: string): Promise<boolean>;
  canReach?(): Promise<boolean>;
}

/** Asks all slots, those that were silent after the others. @returns the slots that it retired */
async function ask({ isHealthy, canReach = async () => true }: Answers): Promise<string[]> {
  await sql`update slots set check_at = now() where status = 'ready'`.execute(at.database);
  const checks = { health: { isHealthy }, canReach, failed };
  const silent = await checkSlots(at.database, checks, signal, 'silent');
  return [...silent, ...(await checkSlots(at.database, checks, signal, 'answering'))];
}
const silence = { isHealthy: async () => false };

/** A slot that was ready for so long, and gave its last answer a minute ago. */
async function addSilent(ready: string): Promise<string> {
  const slotId = await addSlot(at, vault, { checked_at: new Date(Date.now() - 60_000) });
  await sql`update slots set ready_at = now() - ${ready}::interval, created_at = now() - interval '1 day'
    where slot_id = ${slotId}`.execute(at.database);
  return slotId;
}
async function plan() {
  const pool = { project: 'default', location: 'nbg1', plan: 'starter', size: 3, fingerprint: FINGERPRINT };
  await recordDemands(at.database, 'w1', [pool]);
  return planSlots(at.database);
}
const pool = () =>
  at.database.selectFrom('pools').select(['error', 'paused_until']).executeTakeFirstOrThrow();

test('a pool whose slots fall silent soon after they were ready pauses, and Attention says so', async () => {
  for (let made = 0; made < 3; made++) await addSilent('10 minutes');
  expect(await ask(silence)).toEqual([]);
  expect(await ask(silence)).toHaveLength(3);
  expect((await plan()).added).toBe(0);
  expect(await pool()).toMatchObject({
    error: expect.stringMatching(/^3 servers of it .* fell silent.* not answered for 6\d s$/),
    paused_until: expect.any(Date),
  });
  const items = await listAttention(at.database, { limit: 50 });
  expect(items).toMatchObject([{ cause: expect.stringContaining('fell silent') }]);
});

test('slots that have waited for long before they fell silent are replaced', async () => {
  for (let made = 0; made < 3; made++) await addSilent('3 hours');
  await ask(silence);
  expect(await ask(silence)).toHaveLength(3);
  expect((await plan()).added).toBe(3);
  expect(await pool()).toEqual({ error: null, paused_until: null });
});

test('no slot is removed where this worker loses the network while it asks', async () => {
  const slotId = await addSilent('10 minutes');
  await ask(silence);
  let isUp = true;
  const losing = {
    canReach: async () => isUp,
    isHealthy: async () => {
      isUp = false;
      return false;
    },
  };
  expect(await ask(losing)).toEqual([]);
  expect((await slot(at, slotId)).status).toBe('ready');
});

test('an answer counts when it comes, whatever else is asked', async () => {
  const [slow, quick] = [await addSlot(at, vault), await addSlot(at, vault)];
  await sql`update slots set checked_at = now() - interval '15 seconds'`.execute(at.database);
  const { tailnet_ip: slowIp } = await slot(at, slow);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const asking = ask({
    isHealthy: async (ip) => {
      if (ip === slowIp) await released;
      return true;
    },
  });
  const answeredAt = async (slotId: string) => (await slot(at, slotId)).checked_at!.getTime();
  await vi.waitFor(async () =>
    expect(await answeredAt(quick)).toBeGreaterThan((await answeredAt(slow)) + 9_000),
  );
  const before = await answeredAt(quick);
  release();
  await asking;
  expect(await answeredAt(slow)).toBeGreaterThan(before);
  expect(await answeredAt(quick)).toBe(before);
});

test('slots that do not answer keep no other from being asked', async () => {
  const silent = await addSlot(at, vault);
  failed.add(silent);
  const quick = await addSlot(at, vault, { checked_at: new Date(Date.now() - 15_000) });
  await sql`update slots set check_at = now()`.execute(at.database);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { tailnet_ip: silentIp } = await slot(at, silent);
  const health = {
    isHealthy: async (ip: string) => {
      if (ip === silentIp) await released;
      return ip !== silentIp;
    },
  };
  const checks = { health, canReach: async () => true, failed };
  const asking = checkSlots(at.database, checks, signal, 'silent');
  await checkSlots(at.database, checks, signal, 'answering');
  expect((await slot(at, quick)).checked_at!.getTime()).toBeGreaterThan(Date.now() - 9_000);
  release();
  await asking;
  expect(failed).toEqual(new Set([silent]));
});
