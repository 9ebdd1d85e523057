import { lockAgent } from '../../agents/store.ts';
import type { IsStillWanted } from '../../operations/last-check.ts';
import { signalIds } from '../subscriptions.ts';
import { readAgentState } from './agent-state.ts';
import type { FollowDeps } from './deps.ts';
import { judge, readAll } from './judge.ts';

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
      const { effective } = await judge(deps, trx, { state, readings, now: deps.clock.now() });
      const isWanted = effective.decision.demand === 'destroy';
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
