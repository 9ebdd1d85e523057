import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { findAdoption } from '../../src/agents/adoptions.ts';
import { type CloudRecord, sealRecord } from '../../src/agents/cloud-record.ts';
import { getAgentForOperation } from '../../src/agents/for-operation.ts';
import { completeInputs } from '../../src/agents/inputs.ts';
import { createRecordSeal } from '../../src/agents/record-seal.ts';
import { createVault, generateAgentKeys } from '../../src/agents/secrets.ts';
import { getAgent } from '../../src/agents/store.ts';
import { settle } from '../../src/backups/settle.ts';
import { ConflictError, NotFoundError, StateLostError } from '../../src/errors.ts';
import { beginHandOvers } from '../../src/executors/worker/begin-hand-overs.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { systemClock } from '../../src/processes/clock.ts';
import { keepRecords } from '../../src/reconcile/records.ts';
import { rebuildState } from '../../src/recovery/rebuild-state.ts';
import { removeLeftoverSlot } from '../../src/recovery/remove-slot.ts';
import { Secret } from '../../src/secret.ts';
import { toSlotRecord } from '../../src/slots/slot-record.ts';
import { takeSlotWork } from '../../src/slots/slots.ts';
import type { AgentInputs } from '../../stacks/inputs.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { addPool, addSlot, slot } from '../support/slots.ts';
import { stampAsNew } from '../support/stamp.ts';

/** A backup comes back in which slots wait that may be customers’ by now. */
const keyring = new Keyring(new Secret('the passphrase'));
const [vault, seal] = [createVault(keyring), createRecordSeal(keyring)];
let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await sql`delete from cloud_records`.execute(at.database);
  await stampAsNew(at.database);
});

async function restoreBackup(): Promise<void> {
  const client = new pg.Client({ connectionString: at.url });
  await client.connect();
  await settle(client);
  await client.end();
}

const page = <T>(items: T[]) => Promise.resolve({ items, nextPage: null, total: items.length, last: null });

/** Hetzner and Tailscale have exactly what these records are of, labelled for `label`. */
async function cloudsOf(...records: { record: CloudRecord; label?: string }[]) {
  const made = await Promise.all(
    records.map(async ({ record, label = record.id }, index) => {
      const { serverName: name = '' } = record.inputs;
      const labels = { 'agent-id': label, 'managed-by': 'agents' };
      const state = { status: 'running', isLocked: false, isProtected: false, diskGb: 40, imageId: null };
      return {
        server: { id: record.serverId!, name, labels, ...state, ipv4: '192.0.2.9', firewallIds: [1] },
        key: {
          id: String(index + 1),
          name,
          labels: { ...labels, ...(await sealRecord(seal, record)) },
          publicKey: record.inputs.sshPublicKey,
        },
        device: {
          nodeId: record.nodeId!,
          name: record.tailnetName!,
          hostname: 'any',
          addresses: [record.tailnetIp!],
          tags: ['tag:agent'],
        },
      };
    }),
  );
  const hetzner = {
    serverPage: () => page(made.map(({ server }) => server)),
    sshKeyPage: () => page(made.map(({ key }) => key)),
    snapshotPage: () => page([]),
  };
  return {
    projects: new Map([['default', hetzner]]),
    tailscale: { listDevices: async () => made.map(({ device }) => device) },
  } as unknown as Parameters<typeof rebuildState>[0]['clouds'];
}

const rebuild = (clouds: Awaited<ReturnType<typeof cloudsOf>>, apply = true) =>
  rebuildState(
    {
      ...{ database: at.database, queue: at.queue, clock: systemClock },
      ...{ clouds, vault, seal, orders: undefined },
      snapshotSeal: { isValid: async () => false },
    },
    { actor: 'test', apply },
  );

/** What the record of an agent says that has got the slot's server. */
async function agentOn(slotId: string, id: string): Promise<CloudRecord> {
  const record = toSlotRecord(vault, await slot(at, slotId));
  const { kind: _, fingerprint: __, ...common } = record;
  const next = generateAgentKeys(id);
  const keys = {
    ...record.keys,
    hostPrivateKey: record.keys.nextHostPrivateKey,
    hostPublicKey: record.keys.nextHostPublicKey,
    nextHostPrivateKey: next.nextHostPrivateKey,
    nextHostPublicKey: next.nextHostPublicKey,
  };
  const inputs = { ...record.inputs, agentId: id, hostPublicKey: keys.hostPublicKey };
  return { ...common, kind: 'agent', id, userId: 'u1', region: 'eu-central', holds: [], inputs, keys };
}

const count = async (table: 'slots' | 'server_names' | 'tailnet_join_names') =>
  (await sql`select from ${sql.table(table)}`.execute(at.database)).rows.length;

test('an agent that has claimed a slot since gets its server back, and nobody else can', async () => {
  const slotId = await addSlot(at, vault);
  const { server_id: serverId, server_name: serverName } = await slot(at, slotId);
  const record = await agentOn(slotId, 'a1');
  await restoreBackup();
  const rebuilt = await rebuild(await cloudsOf({ record, label: slotId }));
  expect(rebuilt).toMatchObject({ agents: [{ agentId: 'a1', action: 'rebuilt' }], slots: [], unclear: [] });
  expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'running', server_id: serverId });
  expect(await count('slots')).toBe(0);
  const { rows } = await sql`select name, owner_id from server_names`.execute(at.database);
  expect(rows).toEqual([{ name: serverName, owner_id: 'a1' }]);
});

test.each(['ready', 'making', 'removing'] as const)(
  'a slot that was %s becomes no row, and is listed until a person has looked',
  async (status) => {
    const slotId = await addSlot(at, vault, { status });
    const record = toSlotRecord(vault, await slot(at, slotId));
    await restoreBackup();
    expect([await count('slots'), await count('server_names'), await count('tailnet_join_names')]).toEqual([
      0, 0, 0,
    ]);
    const clouds = await cloudsOf({ record });
    for (const apply of [false, true])
      expect(await rebuild(clouds, apply)).toMatchObject({
        slots: [{ slotId, action: 'unclear' }],
        unclear: [{ agentId: null, cause: expect.stringContaining(slotId) }],
      });
    expect(await count('slots')).toBe(0);
    const { rows } = await sql`select cause from findings where source = 'recovery'`.execute(at.database);
    expect(rows).toMatchObject([{ cause: expect.stringContaining(slotId) }]);
  },
);

test('both databases lost within an adoption: the server is its owner’s, and nothing of it is touched', async () => {
  const slotId = await addSlot(at, vault);
  const record = await agentOn(slotId, 'a1');
  const adopting = {
    serverId: record.serverId!,
    ipv4: '192.0.2.9',
    hostPublicKey: record.keys.hostPublicKey,
    before: { name: 'web1', labels: {} },
  };
  const clouds = await cloudsOf({ record: { ...record, inputs: { ...record.inputs, adopting } } });
  await restoreBackup();
  for (const apply of [false, true])
    expect(await rebuild(clouds, apply)).toMatchObject({
      agents: [],
      unclear: [{ agentId: 'a1', cause: expect.stringMatching(/is its owner's/) }],
    });
  for (const table of ['agents', 'operations'] as const)
    expect((await sql`select from ${sql.table(table)}`.execute(at.database)).rows).toEqual([]);
});

test('a backup of within an adoption, whose record says that it was complete: the server is the agent’s', async () => {
  const slotId = await addSlot(at, vault);
  const record = await agentOn(slotId, 'a1');
  const clouds = await cloudsOf({ record });
  await restoreBackup();
  await order(at, 'a1');
  await sql`insert into adoptions (agent_id, project, server_id) values ('a1', 'default', ${record.serverId})`.execute(
    at.database,
  );
  await expect(getAgentForOperation(at.database, 'a1')).rejects.toThrow(/is its owner's/);
  expect(await rebuild(clouds)).toMatchObject({ agents: [{ agentId: 'a1', action: 'corrected' }] });
  expect(await findAdoption(at.database, 'a1')).toMatchObject({ status: 'adopted' });
  expect(await getAgentForOperation(at.database, 'a1')).toMatchObject({ server_id: record.serverId });
});

const remove = (clouds: Awaited<ReturnType<typeof cloudsOf>>, slotId: string) =>
  removeLeftoverSlot({ database: at.database, clouds, vault, seal }, { slotId, actor: 'ann' });

test('a person lets the pool remove one that was left, which nothing else does', async () => {
  const slotId = await addSlot(at, vault);
  const { server_id, server_name, inputs } = await slot(at, slotId);
  const clouds = await cloudsOf({ record: toSlotRecord(vault, await slot(at, slotId)) });
  await restoreBackup();
  await expect(remove(clouds, slotId)).rejects.toBeInstanceOf(StateLostError);
  await rebuild(clouds);
  expect(await remove(clouds, slotId)).toEqual({ slotId, serverName: (inputs as AgentInputs).serverName });
  const taken = await takeSlotWork(at.database, 'w1', 60, { fingerprints: [] });
  expect(taken).toMatchObject({ slot_id: slotId, status: 'removing', server_id, agent_id: null });
  expect(taken?.server_name).toBe(server_name ?? (inputs as AgentInputs).serverName);
  expect(vault.open(slotId, taken!.secrets!).sshPublicKey).toBe((inputs as AgentInputs).sshPublicKey);
  const left = await sql`select from findings where source = 'recovery'`.execute(at.database);
  expect(left.rows).toEqual([]);
  const audited = await sql`select actor, details->>'slotId' as "slotId" from audit_log
    where action = 'pool.remove-leftover'`.execute(at.database);
  expect(audited.rows).toEqual([{ actor: 'ann', slotId }]);
  await expect(remove(clouds, slotId)).rejects.toThrow(`${slotId} is the pool’s own`);
});

test('no server that is an agent’s is removed, and none that waits', async () => {
  const slotId = await addSlot(at, vault);
  const own = toSlotRecord(vault, await slot(at, slotId));
  await expect(remove(await cloudsOf({ record: own }), slotId)).rejects.toThrow(ConflictError);
  const agentsRecord = await agentOn(slotId, 'a1');
  await restoreBackup();
  const clouds = await cloudsOf({ record: agentsRecord, label: slotId });
  await rebuild(clouds);
  await expect(remove(clouds, slotId)).rejects.toThrow(NotFoundError);
  // The record of the agent that got it was not written: Hetzner did not answer.
  await expect(remove(await cloudsOf({ record: own }), slotId)).rejects.toThrow(
    `Agent a1 has the server of ${slotId}`,
  );
  expect(await count('slots')).toBe(0);
});

test('an agent whose hand-over had only begun gets a server of its own; one that was served keeps its', async () => {
  await addPool(at, 2);
  const slots = [await addSlot(at, vault), await addSlot(at, vault)];
  const [served, begun] = [await order(at, 'served'), await order(at, 'begun')];
  const deps = { database: at.database, vault, workerId: 'w1', log: at.log };
  await beginHandOvers(deps, [served.operation_id, begun.operation_id]);
  await sql`update slots set served_at = now() where agent_id = 'served'`.execute(at.database);
  await restoreBackup();
  const { rows } = await sql<{ slot_id: string }>`select slot_id, agent_id, status from slots`.execute(
    at.database,
  );
  expect(rows).toMatchObject([{ agent_id: 'served', status: 'claimed' }]);
  expect(slots).toContain(rows[0]!.slot_id);
  expect(await getAgent(at.database, 'begun')).toMatchObject({ inputs: null, secrets: null });
  expect(completeInputs('served', (await getAgent(at.database, 'served')).inputs)).toBeDefined();
  const names = await sql`select owner_id from server_names`.execute(at.database);
  expect(names.rows).toEqual([{ owner_id: 'served' }]);
});

test('a slot of a database that has lost nothing is left to its pool', async () => {
  const slotId = await addSlot(at, vault);
  const clouds = await cloudsOf({ record: toSlotRecord(vault, await slot(at, slotId)) });
  expect(await rebuild(clouds)).toMatchObject({ slots: [{ slotId, action: 'known' }], unclear: [] });
  expect(await slot(at, slotId)).toMatchObject({ status: 'ready' });
});

test('the record of an agent that could not be rebuilt is not written over by its older row', async () => {
  const slotId = await addSlot(at, vault);
  const record = await agentOn(slotId, 'a1');
  await restoreBackup();
  await rebuild(await cloudsOf({ record, label: slotId }));
  await restoreBackup();
  const rebuilt = await rebuild(await cloudsOf({ record, label: 'somebody' }));
  expect(rebuilt.unclear).toMatchObject([{ cause: expect.stringMatching(/its label names somebody/) }]);
  const keeping = { database: at.database, projects: new Map(), vault, seal, keyring, log: at.log };
  expect(await keepRecords(keeping)).toBe(0);
  const { rows } = await sql`select owner_id, error from cloud_records`.execute(at.database);
  expect(rows).toEqual([{ owner_id: 'a1', error: expect.stringMatching(/may be newer/) }]);
  // The run was killed before its end, and somebody has corrected the label.
  await sql`update installation set recovery = 'needed'`.execute(at.database);
  await rebuild(await cloudsOf({ record, label: slotId }));
  expect((await sql`select from cloud_records`.execute(at.database)).rows).toEqual([]);
});
