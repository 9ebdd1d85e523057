import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { recordJoinName, refuseForeignDevices } from '../agents/devices.ts';
import type { RecordSeal } from '../agents/record-seal.ts';
import type { Vault } from '../agents/secrets.ts';
import { recordServerName } from '../agents/server-names.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { refuseWhileLost } from '../database/recovering.ts';
import { jsonText } from '../database/storable.ts';
import { ConflictError, NotFoundError } from '../errors.ts';
import type { Server } from '../hetzner/hetzner.ts';
import { toRemoval } from '../slots/slots.ts';
import { findServer, type SlotRecord } from './plan.ts';
import { openRecords, type SurveyedClouds, takeSurvey } from './survey.ts';

export interface RemoveSlotDeps {
  database: Database;
  clouds: SurveyedClouds;
  vault: Vault;
  seal: RecordSeal;
}

/** What is removed. */
export interface SlotRemoval {
  slotId: string;
  /** Null: only keys are left of it. */
  serverName: string | null;
}

/**
 * Lets the pool remove a server that waited for an order, and that a restore or a loss has left without a
 * row: a person vouches that no agent runs on it. The row that it gets can only be removed, and one
 * transaction writes it with its audit row, so a kill leaves both or neither; the removal itself is tried
 * until it succeeds.
 * @throws NotFoundError if Hetzner has no record of such a server
 * @throws ConflictError if it is the pool's or an agent's, or agents have to be found again first
 */
export async function removeLeftoverSlot(
  { database, clouds, vault, seal }: RemoveSlotDeps,
  { slotId, actor }: { slotId: string; actor: string },
): Promise<SlotRemoval> {
  await refuseWhileLost(database);
  const survey = await takeSurvey(clouds);
  const opened = await openRecords(seal, survey.sshKeys);
  const found = opened.find((one) => 'record' in one && one.record.id === slotId);
  if (found === undefined || !('record' in found) || found.record.kind !== 'slot')
    throw new NotFoundError(
      `No SSH key at Hetzner has the record of ${slotId}: its server is an agent’s, or gone`,
    );
  const { record } = found;
  const server = findServer(survey, found.key, record);
  const secrets = vault.seal(slotId, record.keys);
  await database.transaction().execute((trx) => queueRemoval(trx, { record, server, secrets, actor }));
  return { slotId, serverName: server?.name ?? null };
}

interface Removal {
  record: SlotRecord;
  server: Server | undefined;
  secrets: Buffer;
  actor: string;
}

async function queueRemoval(trx: Transaction, removal: Removal): Promise<void> {
  const { record, server, actor } = removal;
  const { id: slotId, inputs, nodeId, tailnetIp } = record;
  await refuseOwned(trx, slotId, server);
  await recordServerName(trx, slotId, inputs);
  await recordJoinName(trx, slotId, inputs);
  if (tailnetIp !== undefined)
    await refuseForeignDevices(trx, [{ agentId: slotId, outputs: { tailnetIp, tailnetNodeId: nodeId } }]);
  await upsertSlot(trx, removal);
  await trx
    .deleteFrom('findings')
    .where('source', '=', 'recovery')
    .where('key', '=', `${slotId} slot`)
    .execute();
  const details = { slotId, serverId: server?.id ?? null, serverName: server?.name ?? null };
  await audit(trx, { actor, action: 'pool.remove-leftover', details });
}

/** @throws ConflictError if the pool or an agent has it */
async function refuseOwned(trx: Transaction, slotId: string, server: Server | undefined): Promise<void> {
  const { rows } = await sql<{ owner: string }>`
    select slot_id as owner from slots where slot_id = ${slotId} and ended_at is null
    union all select agent_id from agents where server_id = ${server?.id ?? null} limit 1`.execute(trx);
  const [owned] = rows;
  if (owned === undefined) return;
  throw new ConflictError(
    owned.owner === slotId
      ? `${slotId} is the pool’s own`
      : `Agent ${owned.owner} has the server of ${slotId}`,
  );
}

async function upsertSlot(trx: Transaction, { record, server, secrets, actor }: Removal): Promise<void> {
  const { id: slotId, inputs, location, plan, nodeId, tailnetIp, tailnetName } = record;
  const columns = {
    ...toRemoval(),
    error: `Left without a row, and removed at the request of ${actor}`,
    inputs: jsonText(inputs),
    secrets,
    server_id: server?.id ?? null,
    server_name: server?.name ?? null,
    tailnet_ip: tailnetIp ?? null,
    tailnet_name: tailnetName ?? null,
    tailnet_node_id: nodeId ?? null,
    ended_at: null,
  };
  const { project } = inputs;
  const fingerprint = record.fingerprint ?? UNKNOWN;
  await trx
    .insertInto('slots')
    .values({ slot_id: slotId, project, location, plan, fingerprint, ...columns })
    .onConflict((conflict) => conflict.column('slot_id').doUpdateSet(columns))
    .execute();
}

/** Of a server that was still being made. */
const UNKNOWN = 'unknown';
