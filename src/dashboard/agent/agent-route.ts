import type { RequestHandler } from 'express';
import { listChanges } from '../../agents/changes.ts';
import { findReceipt } from '../../agents/receipts.ts';
import { listSnapshots } from '../../agents/snapshots.ts';
import { readResources } from '../../agents/stack-resources.ts';
import { getAgent } from '../../agents/store.ts';
import { findAskers, listAudit } from '../../audit/listing.ts';
import { presentAgents } from '../../http/agents/present-agents.ts';
import type { HttpDeps } from '../../http/deps.ts';
import { presentOperations } from '../../http/operations/present-operations.ts';
import { whyNotAbandoned } from '../../operations/abandon-adoption.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { readLogWindow } from '../../operations/events/log-page.ts';
import { readLedger } from '../../operations/ledger.ts';
import { listOperations } from '../../operations/listing.ts';
import { listUnfinished } from '../../operations/requests.ts';
import { findRetryable } from '../../operations/retry-latest.ts';
import { listFindingsOf } from '../../reconcile/agent-findings.ts';
import { createStatusLinks } from '../buyer/status-links.ts';
import { roleOnPage } from '../guards.ts';
import { readTimeline } from '../operation/operation-routes.ts';
import { parseAgentId, sendPage } from '../requests.ts';
import { agentPage } from './agent-page.ts';
import type { LatestOperation } from './operations-section.ts';

const OPERATIONS_SHOWN = 20;
const LOG_LINES_SHOWN = 100;
const HISTORY_SHOWN = 50;
const CHANGES_SHOWN = 200;

/** Answers `/agents/{agentId}`. */
export function showAgent(deps: HttpDeps): RequestHandler {
  const { database, consoles } = deps;
  const links = createStatusLinks(deps);
  return async (request, response) => {
    const row = await getAgent(database, parseAgentId(request.params.agentId));
    const agentId = row.agent_id;
    const [agent] = await presentAgents(database, [row]);
    const rows = await listOperations(database, { agentId, limit: OPERATIONS_SHOWN });
    const [newest, ...earlier] = rows;
    const [retryable, latest, more] = await Promise.all([
      findRetryable(database, [agentId]),
      readLatest(deps, newest),
      readMore(deps, agentId, earlier),
    ]);
    const main = agentPage({
      agent: agent!,
      retryable: retryable.get(agentId),
      latest,
      ...more,
      isGivenBack: whyNotAbandoned(row) === undefined,
      buyersPage: links.statusUrl(agentId),
      followsPayments: deps.followsPayments ?? true,
      consoles,
      role: roleOnPage(response),
    });
    sendPage(response, deps, { title: agentId, main, operator: true, place: 'agents' });
  };
}

async function readMore({ database }: HttpDeps, agentId: string, earlier: readonly OperationRow[]) {
  const ids = earlier.map((row) => row.operation_id);
  const [operations, askers, unfinished, changes, resources, snapshots, findings, history, receipt, ledger] =
    await Promise.all([
      presentOperations(database, earlier),
      findAskers(database, agentId, ids),
      listUnfinished(database, agentId),
      listChanges(database, { agentId, limit: CHANGES_SHOWN }),
      readResources(database, agentId),
      listSnapshots(database, agentId),
      listFindingsOf(database, agentId),
      listAudit(database, { agentId, limit: HISTORY_SHOWN }),
      findReceipt(database, agentId),
      readLedger(database, agentId),
    ]);
  return {
    ...{ earlier: operations, askers, unfinished, changes, resources },
    ...{ snapshots, findings, history, receipt, ledger },
  };
}

async function readLatest(
  deps: HttpDeps,
  row: OperationRow | undefined,
): Promise<LatestOperation | undefined> {
  if (row === undefined) return undefined;
  const log = await readLogWindow(deps.database, {
    operationId: row.operation_id,
    position: { at: 'end' },
    limit: LOG_LINES_SHOWN,
  });
  return { timeline: await readTimeline(deps, row), log };
}
