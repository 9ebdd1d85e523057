import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import type { OperationParameters } from '../database/tables.ts';
import { chosenExecutor } from './chosen-executor.ts';
import { EVENTS_CHANNEL } from './events/events.ts';
import { findOperation } from './registry.ts';
import type { OperationRow } from './rows.ts';
import type { OperationKind } from './states.ts';

export interface NewOperation {
  agentId: string;
  kind: OperationKind;
  stripeEventId?: string | undefined;
  delaySeconds?: number;
  parameters?: OperationParameters | undefined;
  /** It has to pass a last check before it begins. */
  asksAgain?: boolean;
}

/**
 * Inserts queued operations, each with its first event, and wakes the listeners at commit: one statement.
 * No worker is told: each finds them once they are due. `channel`: notified with each id too.
 * @returns them in the same order
 * @throws Error if this version does not know a kind
 */
export async function insertOperations(
  trx: Transaction,
  operations: readonly NewOperation[],
  { channel }: { channel?: string } = {},
): Promise<OperationRow[]> {
  const first = jsonText({ status: 'queued', attempt: 0 });
  const { rows } = await sql<OperationRow>`
    with inserted as (
      insert into operations (agent_id, kind, executor, priority, stripe_event_id, parameters, asks_again, run_after)
      select agent_id, kind, ${chosenExecutor}, priority, stripe_event_id, parameters, asks_again,
        now() + make_interval(secs => delay_seconds)
      from jsonb_to_recordset(${jsonText(operations.map(toColumns))}::jsonb) as given (agent_id text, kind text,
        priority int, stripe_event_id text, parameters jsonb, asks_again boolean, delay_seconds float8)
      returning *),
    told as (
      insert into operation_events (operation_id, sequence, attempt, type, data, at)
      select operation_id, 1, 0, 'status', ${first}::jsonb, clock_timestamp() from inserted
      returning pg_notify(${EVENTS_CHANNEL}, operation_id::text), operation_id),
    woken as (
      select count(pg_notify(channel, operation_id::text)) from told, unnest(${channel === undefined ? [] : [channel]}::text[]) channel)
    select inserted.* from inserted, woken`.execute(trx);
  return operations.map(({ agentId, kind }) =>
    rows.find((row) => row.agent_id === agentId && row.kind === kind),
  ) as OperationRow[];
}

function toColumns(operation: NewOperation) {
  const definition = findOperation(operation.kind);
  if (definition === undefined) throw new Error(`Unknown operation kind: ${operation.kind}`);
  return {
    agent_id: operation.agentId,
    kind: operation.kind,
    priority: definition.priority ?? 0,
    stripe_event_id: operation.stripeEventId ?? null,
    parameters: operation.parameters ?? {},
    asks_again: operation.asksAgain ?? false,
    delay_seconds: operation.delaySeconds ?? 0,
  };
}
