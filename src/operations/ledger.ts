import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { OperationRow } from './claims.ts';
import { readSteps, timeline } from './events/events.ts';

/**
 * `cold`: the server was created for the agent. `warm`: a server that waited was taken over. `adopted`: it
 * was made by hand.
 */
export const WAYS = ['cold', 'warm', 'adopted'] as const;
/** The ways of provisions. */
export const PROVISION_WAYS = ['cold', 'warm'] as const satisfies Way[];
export type Way = (typeof WAYS)[number];

/** How an agent's operation `o` got its server, in SQL. */
export const wayOfOperation: RawBuilder<Way> = sql<Way>`case when o.kind = 'adopt-server' then 'adopted' when exists (
  select 1 from slots s where s.served_by = o.operation_id) then 'warm' else 'cold' end`;

/** Where the time from the order to the running agent went. */
export interface Ledger {
  operationId: string;
  way: Way;
  /** When Stripe's event was received, or an operator asked for the agent. */
  orderedAt: Date;
  /** Null while it is under way, and if it failed. */
  runningAt: Date | null;
  seconds: number | null;
  /** Each step once, in the order of their first start, with the seconds of all tries. They add up. */
  steps: { step: string; seconds: number }[];
}

/** Returns the ledger of an agent's first provision, or of its adoption; undefined if it never had one. */
export async function readLedger(database: Database, agentId: string): Promise<Ledger | undefined> {
  const row = await database
    .selectFrom('operations as o')
    .leftJoin('stripe_events as e', 'e.id', 'o.stripe_event_id')
    .selectAll('o')
    .select(['e.received_at', wayOfOperation.as('way')])
    .where('o.agent_id', '=', agentId)
    .where('o.kind', 'in', ['provision', 'adopt-server'])
    .orderBy('o.sequence')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const steps = await readSteps(database, row.operation_id);
  return toLedger(row, { way: row.way, receivedAt: row.received_at, steps });
}

/** Builds the ledger of a provision from its steps. */
export function toLedger(
  operation: Pick<OperationRow, 'operation_id' | 'status' | 'created_at' | 'finished_at'>,
  { way, receivedAt, steps }: { way: Way; receivedAt: Date | null; steps: { step: string; at: Date }[] },
): Ledger {
  const orderedAt =
    receivedAt !== null && receivedAt < operation.created_at ? receivedAt : operation.created_at;
  const totals = new Map<string, number>();
  const add = (step: string, seconds: number) => totals.set(step, (totals.get(step) ?? 0) + seconds);
  add('received', (operation.created_at.getTime() - orderedAt.getTime()) / 1000);
  for (const { step, seconds } of timeline(operation, steps)) if (seconds !== null) add(step, seconds);
  totals.delete('finished');
  const runningAt = operation.status === 'succeeded' ? operation.finished_at : null;
  return {
    operationId: operation.operation_id,
    way,
    orderedAt,
    runningAt,
    seconds: runningAt === null ? null : (runningAt.getTime() - orderedAt.getTime()) / 1000,
    steps: [...totals].map(([step, seconds]) => ({ step, seconds: Math.round(seconds * 1000) / 1000 })),
  };
}
