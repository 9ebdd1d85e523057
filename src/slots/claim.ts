import { sql } from 'kysely';
import type { AgentInputs } from '../../stacks/inputs.ts';
import { parseRecordedInputs } from '../agents/inputs.ts';
import { type AgentOutputs, outputColumns } from '../agents/outputs.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { cutText, jsonText } from '../database/storable.ts';
import { LONGEST_ERROR, type SlotRow, toRemoval } from './slots.ts';

/** Notified with the id of the provision whose agent has claimed a slot. */
export const CLAIMS_CHANNEL = 'slot_claims';

/** A slot that has not answered for this long is given to nobody. */
const FRESH_SECONDS = 20;
/** A pool that no worker has kept for this long has nobody to hand its slots over. */
const KEPT_SECONDS = 20;

/**
 * Claims a slot for an agent that has just been ordered, in the order's own transaction: one that fits, that
 * was healthy seconds ago, and that no other order has. Orders never wait for each other here.
 * @returns whether there was one; an order that found a pool without one is counted as a miss
 */
export async function claimSlot(
  trx: Transaction,
  agent: { agentId: string; location: string; plan: string; project?: string },
): Promise<boolean> {
  const { agentId, location, plan, project = 'default' } = agent;
  const { rows } = await sql<{ size: number; claimed: boolean }>`
    with pool as materialized (
      select * from pools where project = ${project} and location = ${location} and plan = ${plan}
        and size > 0 and seen_at > now() - make_interval(secs => ${KEPT_SECONDS})),
    chosen as materialized (
      select s.slot_id from slots s, pool p
      where s.status = 'ready' and s.project = p.project and s.location = p.location and s.plan = p.plan
        and s.fingerprint = p.fingerprint and s.checked_at > now() - make_interval(secs => ${FRESH_SECONDS})
      order by s.ready_at limit 1 for update of s skip locked),
    claimed as (
      update slots s set status = 'claimed', agent_id = ${agentId}, claimed_at = now(), check_at = null,
        updated_at = now()
      from chosen where s.slot_id = chosen.slot_id returning s.slot_id),
    missed as (
      insert into pool_misses (agent_id, location, plan)
        select ${agentId}, location, plan from pool where not exists (select 1 from claimed))
    select size, exists (select 1 from claimed) as claimed from pool`.execute(trx);
  return rows[0]?.claimed === true;
}

/** Wakes the workers at the commit: this provision's agent has claimed a slot. */
export async function tellClaim(trx: Transaction, operationId: string): Promise<void> {
  await sql`select pg_notify(${CLAIMS_CHANNEL}, ${operationId})`.execute(trx);
}

/** A slot that its agent has claimed. */
export interface ClaimedSlot {
  slotId: string;
  inputs: AgentInputs;
  /** Sealed for the slot's id. */
  secrets: Buffer;
  outputs: AgentOutputs;
  isServed: boolean;
}

/** Finds the slot that the agent has claimed and not adopted yet. */
export async function findClaimed(database: Database, agentId: string): Promise<ClaimedSlot | undefined> {
  const row = await database
    .selectFrom('slots')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('status', '=', 'claimed')
    .executeTakeFirst();
  return row && toClaimed(row);
}

function toClaimed(row: SlotRow): ClaimedSlot {
  return {
    slotId: row.slot_id,
    // The keeper has written them; the database ensures that a claimed slot has all of this.
    inputs: parseRecordedInputs(row.inputs) as AgentInputs,
    secrets: row.secrets!,
    outputs: {
      serverId: row.server_id!,
      serverName: row.server_name!,
      ipv4: row.ipv4,
      ipv6: row.ipv6,
      tailnetIp: row.tailnet_ip!,
      tailnetName: row.tailnet_name!,
      tailnetNodeId: row.tailnet_node_id,
    },
    isServed: row.served_at !== null,
  };
}

/**
 * Makes inputs, keys and names of the slot the agent's, before anything is written to its server. What
 * carries one of the names is attributed to the agent from then on.
 */
export async function takeOverSlot(
  trx: Transaction,
  agentId: string,
  { slotId, inputs, secrets }: { slotId: string; inputs: AgentInputs; secrets: Buffer },
): Promise<void> {
  await trx.updateTable('server_names').set({ owner_id: agentId }).where('owner_id', '=', slotId).execute();
  await trx
    .updateTable('tailnet_join_names')
    .set({ agent_id: agentId })
    .where('agent_id', '=', slotId)
    .execute();
  await trx
    .updateTable('agents')
    .set({ inputs: jsonText(inputs), secrets, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .execute();
}

/**
 * The agent, whose row names its server, runs on its slot's, by this provision.
 * @returns whether it had a slot with this server that was not served
 */
export async function markServed(trx: Transaction, agentId: string, operationId: string): Promise<boolean> {
  const { numUpdatedRows } = await trx
    .updateTable('slots')
    .set({ served_by: operationId, served_at: sql`clock_timestamp()`, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('status', '=', 'claimed')
    .where('served_at', 'is', null)
    .where('server_id', '=', ({ selectFrom }) =>
      selectFrom('agents').select('agents.server_id').where('agents.agent_id', '=', agentId),
    )
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

/** Everything of the slot is the agent's, or nothing of both is left: claimed → adopted. */
export async function markAdopted(database: Database, agentId: string): Promise<void> {
  await database
    .updateTable('slots')
    .set({
      status: 'adopted',
      ...outputColumns(null),
      inputs: null,
      secrets: null,
      ended_at: sql`now()`,
      updated_at: sql`now()`,
    })
    .where('agent_id', '=', agentId)
    .where('status', '=', 'claimed')
    .execute();
}

/**
 * Takes the slot that the agent has claimed away from it, if it does not run on it yet: the slot is removed
 * and never given to anybody else. Clears what the agent has from it, so that it gets a server of its own;
 * what it has besides stays. `failureCode`: why, if the slot is to blame.
 * @returns whether there was one
 */
export async function giveSlotUp(
  trx: Transaction,
  agentId: string,
  why: string,
  failureCode: string | null = null,
): Promise<boolean> {
  const error = { error: cutText(why, LONGEST_ERROR), failure_code: failureCode };
  const given = await trx
    .updateTable('slots')
    .set({ ...toRemoval(), claimed_at: null, ...error, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('status', '=', 'claimed')
    .where('served_at', 'is', null)
    .returning(['slot_id', 'inputs'])
    .executeTakeFirst();
  if (given === undefined) return false;
  const { serverName = '', joinName = '' } = parseRecordedInputs(given.inputs) ?? {};
  await trx
    .updateTable('server_names')
    .set({ owner_id: given.slot_id })
    .where('owner_id', '=', agentId)
    .where('name', '=', serverName)
    .execute();
  await trx
    .updateTable('tailnet_join_names')
    .set({ agent_id: given.slot_id })
    .where('agent_id', '=', agentId)
    .where('name', '=', joinName)
    .execute();
  await trx
    .updateTable('agents')
    .set({ inputs: null, secrets: null, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where(sql<boolean>`inputs->>'serverName' = ${serverName}`)
    .execute();
  return true;
}

/**
 * Gives up the slots of agents whose hand-over has not begun, because the executor that is chosen now hands
 * none over.
 */
export async function giveUnservedUp(trx: Transaction): Promise<void> {
  const claimed = await trx
    .selectFrom('agents')
    .select('agent_id')
    .where('agent_id', 'in', ({ selectFrom }) =>
      selectFrom('slots')
        .select(sql<string>`slots.agent_id`.as('agent_id'))
        .where('status', '=', 'claimed')
        .where('served_at', 'is', null),
    )
    .orderBy('agent_id')
    .forNoKeyUpdate()
    .execute();
  for (const { agent_id: agentId } of claimed) {
    const { rows } = await sql`
      select 1 from operations where agent_id = ${agentId} and status = 'active'`.execute(trx);
    if (rows.length === 0) await giveSlotUp(trx, agentId, 'the executor that was chosen hands no slots over');
  }
}
