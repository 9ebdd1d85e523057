import type { Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import type { OperationParameters } from '../database/tables.ts';
import type { OperationKind } from '../database/vocabulary.ts';
import { type BreakerName, type BreakerRow, breakersFor, lockBreakers } from './breakers.ts';
import { decideQuickly } from './quick-order.ts';
import { addsCost, findExcess } from './room.ts';
import type { PricedChange } from './spend.ts';
import { trip } from './trip.ts';

/** A change that the service wants to make by itself. */
export interface Change {
  agentId: string;
  kind: OperationKind;
  parameters: OperationParameters;
  /** Whom the audit log names. */
  actor: string;
  /** Why, in plain words. */
  cause: string;
  stripeEventId?: string | undefined;
}

type Agent = PricedChange['agent'];

/**
 * Returns the breaker that holds the change back, and trips it if this change is one too many. Returns
 * undefined if the change may go. The caller has locked the agent, and enters the change in the ledger in the
 * same transaction.
 */
export async function findHoldingBreaker(
  trx: Transaction,
  change: Change,
  agent: Agent,
  at: Date,
): Promise<BreakerName | undefined> {
  const priced = { kind: change.kind, parameters: change.parameters, agent };
  const quick = change.kind === 'provision' ? await decideQuickly(trx, priced, at) : undefined;
  if (quick !== undefined) return quick.heldBy;
  for (const breaker of await lockBreakers(trx, breakersFor(change.kind))) {
    if (breaker.tripped_at !== null) {
      if (await concerns(trx, breaker, priced)) return breaker.name;
      continue;
    }
    const excess = await findExcess(trx, breaker, priced, at);
    if (excess === undefined) continue;
    await trip(trx, breaker.name, { cause: excess, at });
    return breaker.name;
  }
  return undefined;
}

/** A downgrade passes a tripped breaker of costs. */
async function concerns(trx: Transaction, breaker: BreakerRow, change: PricedChange): Promise<boolean> {
  return breaker.name !== 'spend' || (await addsCost(trx, change));
}

/** Keeps a change until a person lets it go. */
export async function holdChange(
  trx: Transaction,
  breaker: BreakerName,
  change: Change,
  at: Date,
): Promise<void> {
  await trx
    .insertInto('held_changes')
    .values({
      agent_id: change.agentId,
      kind: change.kind,
      breaker,
      parameters: jsonText(change.parameters),
      actor: change.actor,
      cause: change.cause,
      stripe_event_id: change.stripeEventId ?? null,
      since: at,
    })
    .execute();
}

/** Enters a change in the ledger that the breakers count. */
export async function enterChange(
  trx: Transaction,
  change: Change,
  { operationId, at }: { operationId: string; at: Date },
): Promise<void> {
  await trx
    .insertInto('changes')
    .values({
      agent_id: change.agentId,
      kind: change.kind,
      cause: change.cause,
      at,
      operation_id: operationId,
    })
    .execute();
}
