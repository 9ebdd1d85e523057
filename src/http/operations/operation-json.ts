import { z } from 'zod';
import type { Database } from '../../database/connect.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { timeline } from '../../operations/events.ts';
import { readStepsOf } from '../../operations/listing.ts';
import { OPERATION_KINDS, OPERATION_STATUSES } from '../../operations/states.ts';

export const operationParams = z.object({ operationId: z.guid() });

const time = z.iso.datetime();

export const operationJson = z
  .object({
    operationId: z.guid(),
    agentId: z.string(),
    kind: z.enum(OPERATION_KINDS),
    status: z.enum(OPERATION_STATUSES),
    step: z.string().nullable(),
    attempt: z.int().meta({ description: 'Counts tries; 0 before the first' }),
    retryCount: z.int().meta({ description: 'Counts tries that failed' }),
    executor: z.enum(['local', 'github-actions']),
    stripeEventId: z.string().nullable(),
    workflowRunId: z.string().nullable(),
    error: z.string().nullable(),
    failedStep: z.string().nullable(),
    createdAt: time,
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    timeline: z.array(
      z.object({
        step: z.string(),
        startedAt: time,
        seconds: z.number().nullable().meta({ description: 'Null while the step is under way' }),
      }),
    ),
  })
  .meta({ id: 'Operation' });

export type OperationJson = z.input<typeof operationJson>;

/** Operations as the outside sees them, in the order given, with their timelines. */
export async function presentOperations(
  database: Database,
  rows: readonly OperationRow[],
): Promise<OperationJson[]> {
  const steps = await readStepsOf(
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
    error: row.error,
    failedStep: row.failed_step,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
    timeline: timeline(row, steps).map((entry) => ({ ...entry, startedAt: entry.startedAt.toISOString() })),
  };
}
