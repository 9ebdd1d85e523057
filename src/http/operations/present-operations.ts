import type { Database } from '../../database/connect.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { timeline } from '../../operations/events/events.ts';
import { readStepsByOperation } from '../../operations/listing.ts';
import type { OperationJson } from './operation-json.ts';

/** Operations as API clients see them, in the given order, with their timelines. */
export async function presentOperations(
  database: Database,
  rows: readonly OperationRow[],
): Promise<OperationJson[]> {
  const steps = await readStepsByOperation(
    database,
    rows.map((row) => row.operation_id),
  );
  return rows.map((row) => presentOperation(row, steps.get(row.operation_id) ?? []));
}

function presentOperation(row: OperationRow, steps: { step: string; at: Date }[]): OperationJson {
  return {
    operationId: row.operation_id,
    agentId: row.agent_id,
    kind: row.kind,
    status: row.status,
    step: row.step,
    attempt: row.attempt,
    retryCount: row.retry_count,
    executor: row.executor,
    stripeEventId: row.stripe_event_id,
    workflowRunId: row.workflow_run_id,
    // The current reason to wait is more useful than the error of an earlier try.
    error: row.waits_for ?? row.error,
    failedStep: row.failed_step,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
    timeline: timeline(row, steps).map((entry) => ({ ...entry, startedAt: entry.startedAt.toISOString() })),
  };
}
