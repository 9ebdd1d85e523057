import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSnapshotSeal } from '../../src/agents/snapshot-seal.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { listSealedPlaces } from '../../src/rekey/sealed-places.ts';
import { Secret } from '../../src/secret.ts';
import { keepSeals, type SealDeps } from '../../src/snapshots/seals.ts';
import { ask, type OperationsFixture, openOperations } from '../support/operations-fixture.ts';
import { attemptNext, runningAgent } from '../support/runbook-attempts.ts';
import { createRunbookFixture, type RunbookFixture } from '../support/runbook-fixture.ts';
import { stampAsNew } from '../support/stamp.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
/** With another passphrase, and the one that everything is sealed with. */
const both = new Keyring(new Secret('another passphrase'), new Secret('passphrase'));
const seal = createSnapshotSeal(both);
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  await runningAgent(at, fixture);
  await ask(at, 'a1', 'snapshot');
  expect((await attemptNext(at, fixture)).error).toBeUndefined();
  fixture.calls.length = 0;
});

const keep = (change: Partial<SealDeps> = {}) =>
  keepSeals({
    ...{ database: at.database, log: at.log, keyring: fixture.keyring, seal: fixture.snapshotSeal },
    ...{ projects: new Map([['default', fixture.deps.hetzner]]), ...change },
  });
const rekeyed = { keyring: both, seal };
const image = () => fixture.snapshots[0]!;
const row = () => at.database.selectFrom('agent_snapshots').selectAll().executeTakeFirstOrThrow();
const countLeft = () =>
  listSealedPlaces({ database: at.database, keyring: both })
    .find(({ name }) => name === 'seals of snapshots at Hetzner')!
    .countLeft();

test('a new snapshot has its seal, which is written again for another passphrase, and the change waits', async () => {
  expect(await fixture.snapshotSeal.isValid(image().labels, '42')).toBe(true);
  expect(await keep()).toBe(1);
  expect(fixture.calls).toEqual([]);
  expect(await keep()).toBe(0);
  expect(await countLeft()).toBe(1);
  expect(await keep(rekeyed)).toBe(1);
  expect(fixture.calls).toEqual(['label snapshot 9001']);
  expect(await fixture.snapshotSeal.isValid(image().labels, '42')).toBe(false);
  expect(await seal.isValid(image().labels, '42')).toBe(true);
  expect(await countLeft()).toBe(0);
});

test('one of an earlier version gets all its labels by its row, and what people have set stays', async () => {
  const sealed = { ...image().labels };
  const { 'tailnet-node': _, 'agent-snapshot-seal': __, ...before } = sealed;
  image().labels = { ...before, 'made-for': 'nothing', mine: 'x' };
  await keep();
  expect(image().labels).toEqual({ ...sealed, mine: 'x' });
});

test('a forged device is not sealed: the row says which it is', async () => {
  const sealed = { ...image().labels };
  image().labels['tailnet-node'] = 'n9';
  await keep();
  expect(image().labels).toEqual(sealed);
  await sql`update agent_snapshots set tailnet_node_id = null, sealed_with = null`.execute(at.database);
  image().labels['tailnet-node'] = 'n9';
  await keep();
  expect(image().labels).not.toHaveProperty('tailnet-node');
});

test('one that Hetzner says is of another server is never sealed, and holds no change of the passphrase up', async () => {
  await keep();
  image().serverId = '77';
  await keep(rekeyed);
  expect(fixture.calls).toEqual([]);
  expect(await row()).toMatchObject({
    sealed_with: fixture.keyring.current.id,
    seal_retry_at: expect.any(Date),
  });
  expect(await keep(rekeyed)).toBe(0);
  expect(await countLeft()).toBe(0);
  image().serverId = '42';
  await sql`update agent_snapshots set seal_retry_at = now()`.execute(at.database);
  expect(await keep(rekeyed)).toBe(1);
  expect(await row()).toMatchObject({ sealed_with: both.current.id, seal_retry_at: null });
});

test('a kill after the write repeats the look, which writes nothing more', async () => {
  const { labels } = image();
  image().labels = {};
  Object.assign(image().labels, {
    'agent-id': 'a1',
    'managed-by': 'agents',
    'agent-snapshot': labels['agent-snapshot'],
  });
  const { setSnapshotLabels } = fixture.deps.hetzner;
  const dying = {
    ...fixture.deps.hetzner,
    setSnapshotLabels: async (...given: Parameters<typeof setSnapshotLabels>) => {
      await setSnapshotLabels(...given);
      throw new Error('killed');
    },
  };
  await keep({ projects: new Map([['default', dying]]) });
  expect(await row()).toMatchObject({ sealed_with: null });
  await sql`update agent_snapshots set seal_retry_at = null`.execute(at.database);
  await keep();
  expect(fixture.calls).toEqual(['label snapshot 9001']);
  expect(await row()).toMatchObject({ sealed_with: fixture.keyring.current.id });
});

test('nothing is written while the database recovers', async () => {
  await stampAsNew(at.database);
  await sql`update installation set recovery = 'needed'`.execute(at.database);
  try {
    expect(await keep(rekeyed)).toBe(0);
  } finally {
    await sql`update installation set recovery = 'none'`.execute(at.database);
  }
});
