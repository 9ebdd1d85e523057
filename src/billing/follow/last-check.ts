import { lockAgent } from '../../agents/store.ts';
import { RetryableError } from '../../errors.ts';
import type { IsStillWanted } from '../../operations/last-check.ts';
import { type SubscriptionRow, signalIds } from '../subscriptions.ts';
import { readAgentState } from './agent-state.ts';
import { lockSubscriptions } from './claims.ts';
import type { FollowDeps } from './deps.ts';
import { judge, readAll } from './judge.ts';
import { IN_USE } from './plan-acts.ts';

/** Whether nothing was signalled or linked between two readings of an agent's subscriptions. */
function isUnchanged(before: readonly SubscriptionRow[], now: readonly SubscriptionRow[]): boolean {
  const signals = new Map(before.map((row) => [row.subscription_id, row.signals]));
  return now.length === before.length && now.every((row) => signals.get(row.subscription_id) === row.signals);
}

/**
 * The last question before an automatic destroy removes anything: whether what Stripe says now still demands
 * it. If not, the destroy is cancelled and the agent looked at again at once.
 */
export function createLastCheck(deps: FollowDeps): IsStillWanted {
  return async ({ agent_id: agentId, operation_id: operationId }) => {
    if (deps.billing !== 'act') return false;
    const rows = await deps.database
      .selectFrom('subscriptions')
      .selectAll()
      .where('agent_id', '=', agentId)
      .execute();
    if (rows.length === 0) return false;
    const readings = await readAll(deps, rows);
    return deps.database.transaction().execute(async (trx) => {
      const state = await readAgentState(trx, await lockAgent(trx, agentId));
      if (!isUnchanged(rows, await lockSubscriptions(trx, [agentId])))
        throw new RetryableError('An event has told something new since Stripe was asked');
      const { effective } = await judge(deps, trx, { state, readings, now: deps.clock.now() });
      const isWanted = effective.decision.demand === 'destroy' && !IN_USE.includes(state.agent.status);
      if (!isWanted)
        await signalIds(
          trx,
          rows.map((row) => row.subscription_id),
        );
      deps.log.info(
        { event: 'billing.last_check', agentId, operationId, isWanted, state: effective.decision.state },
        isWanted ? 'Stripe still demands the destroy' : 'a destroy is no longer wanted: nothing is removed',
      );
      return isWanted;
    });
  };
}
