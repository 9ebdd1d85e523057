import { sql } from 'kysely';
import type { AgentInputs } from '../../stacks/inputs.ts';
import { parseRecordedInputs } from '../agents/inputs.ts';
import { type AgentOutputs, outputColumns } from '../agents/outputs.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { cutText, jsonText } from '../database/storable.ts';
import { toFailure } from './failures.ts';
import { LONGEST_ERROR, type SlotRow, toRemoval } from './slots.ts';

/** A slot that its agent has claimed. */
export interface ClaimedSlot {
  slotId: string;
  inputs: AgentInputs;
  /** Sealed for the slot's id. */
  secrets: Buffer;
  outputs: AgentOutputs;
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

/** Maps those of the agents that wait for a slot's hand-over to their slots. */
export async function findUnserved(
  database: Database,
  agentIds: readonly string[],
): Promise<Map<string, ClaimedSlot>> {
  const { rows } = await sql<SlotRow>`
    select * from slots where agent_id = any(${[...agentIds]}::text[]) and status = 'claimed'
      and served_at is null`.execute(database);
  return new Map(rows.map((row) => [row.agent_id!, toClaimed(row)]));
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
  };
}

/** What an agent takes over from its slot. */
export interface TakeOver {
  agentId: string;
  slotId: string;
  inputs: AgentInputs;
  /** Sealed for the agent's id. */
  secrets: Buffer;
}

/**
 * Makes inputs, keys and names of slots their agents', before anything is written to a server. What carries
 * one of the names is attributed to its agent from then on.
 */
export async function takeOverSlots(trx: Transaction, takenOver: readonly TakeOver[]): Promise<void> {
  const column = <Name extends keyof TakeOver>(name: Name) => takenOver.map((one) => one[name]);
  const inputs = takenOver.map((one) => jsonText(one.inputs));
  await sql`with given as (
      select * from unnest(${column('agentId')}::text[], ${column('slotId')}::text[], ${inputs}::jsonb[],
        ${column('secrets')}::bytea[]) as given (agent_id, slot_id, inputs, secrets)),
    servers as (
      update server_names set owner_id = given.agent_id, slot_id = given.slot_id from given where owner_id = given.slot_id),
    names as (
      update tailnet_join_names n set agent_id = given.agent_id, slot_id = given.slot_id
      from given where n.agent_id = given.slot_id)
    update agents set inputs = given.inputs, secrets = given.secrets, updated_at = now()
    from given where agents.agent_id = given.agent_id`.execute(trx);
}

/**
 * The agents, whose rows name their servers, run on their slots', by these provisions.
 * @returns those of the agents that had a slot with this server that was not served
 */
export async function markServed(
  trx: Transaction,
  provisions: readonly { agentId: string; operationId: string }[],
): Promise<string[]> {
  const agentIds = provisions.map(({ agentId }) => agentId);
  const operationIds = provisions.map(({ operationId }) => operationId);
  const { rows } = await sql<{ agentId: string }>`
    update slots s set served_by = given.operation_id, served_at = clock_timestamp(), updated_at = now()
    from unnest(${agentIds}::text[], ${operationIds}::uuid[]) as given (agent_id, operation_id)
      join agents a using (agent_id)
    where s.agent_id = given.agent_id and s.status = 'claimed' and s.served_at is null
      and s.server_id = a.server_id
    returning s.agent_id as "agentId"`.execute(trx);
  return rows.map(({ agentId }) => agentId);
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
 * what it has besides stays, and so does everything of an agent that has a server. `failureCode`: why, if the
 * slot is to blame.
 * @returns whether there was one
 */
export async function giveSlotUp(
  trx: Transaction,
  agentId: string,
  why: string,
  failureCode: string | null = null,
): Promise<boolean> {
  const error = { error: cutText(why, LONGEST_ERROR), ...toFailure(failureCode) };
  const given = await trx
    .updateTable('slots')
    .set({ ...toRemoval(), claimed_at: null, ...error, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('status', '=', 'claimed')
    .where('served_at', 'is', null)
    .returning(['slot_id', 'inputs'])
    .executeTakeFirst();
  if (given === undefined) return false;
  const { slot_id: slotId } = given;
  const { serverName = '', joinName = '' } = parseRecordedInputs(given.inputs) ?? {};
  // One that was claimed by an earlier version is known by its present names alone.
  await trx
    .updateTable('server_names')
    .set({ owner_id: slotId, slot_id: null })
    .where('owner_id', '=', agentId)
    .where((row) => row.or([row('slot_id', '=', slotId), row('name', '=', serverName)]))
    .execute();
  await trx
    .updateTable('tailnet_join_names')
    .set({ agent_id: slotId, slot_id: null })
    .where('agent_id', '=', agentId)
    .where((row) => row.or([row('slot_id', '=', slotId), row('name', '=', joinName)]))
    .execute();
  await trx
    .updateTable('agents')
    .set({ inputs: null, secrets: null, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('server_id', 'is', null)
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
