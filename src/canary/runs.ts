import { randomBytes } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { DEFAULT_PLAN } from '../agents/plans.ts';
import type { CanaryRunTable } from '../database/canary-tables.ts';
import { type Database, type Transaction, violatedConstraint } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import { ACTS, type Act } from './acts.ts';

export type CanaryRun = Selectable<CanaryRunTable>;

export interface NewRun {
  cause: 'person' | 'schedule';
  maxEuros: number;
  region: string;
  plan?: string | undefined;
  /** Who begins it, as the audit log names them. */
  actor: string;
}

/** Begins a canary, and records who did. @throws ConflictError while another one runs */
export async function startRun(trx: Transaction, { actor, ...wanted }: NewRun): Promise<CanaryRun> {
  const run = await insertRun(trx, wanted);
  const { agent_id: agentId, run_id: runId, region, plan } = run;
  const details = { runId, agentId, maxEuros: wanted.maxEuros, region, plan };
  await audit(trx, { actor, action: 'canary.start', details });
  return run;
}

async function insertRun(
  trx: Transaction,
  { cause, maxEuros, region, plan }: Omit<NewRun, 'actor'>,
): Promise<CanaryRun> {
  try {
    return await trx
      .insertInto('canary_runs')
      .values({
        agent_id: `canary-${randomBytes(4).toString('hex')}`,
        cause,
        region,
        plan: plan ?? DEFAULT_PLAN,
        max_euros: maxEuros,
      })
      .returningAll()
      .executeTakeFirstOrThrow();
  } catch (error) {
    if (violatedConstraint(error) !== 'canary_runs_running') throw error;
    throw new ConflictError('A canary is under way already');
  }
}

export interface RunStep {
  kind: Act;
  status: string;
  /** Null until it has begun. */
  seconds: number | null;
  error: string | null;
}

/** A run with what its agent went through, the newest run first. */
export async function listRuns(
  database: Database,
  limit: number,
): Promise<(CanaryRun & { steps: RunStep[] })[]> {
  const runs = await database
    .selectFrom('canary_runs')
    .selectAll()
    .orderBy('started_at', 'desc')
    .limit(limit)
    .execute();
  if (runs.length === 0) return [];
  const { rows } = await sql<RunStep & { agentId: string }>`
    select agent_id as "agentId", kind, status, error,
      extract(epoch from coalesce(finished_at, now()) - started_at)::float8 as seconds
    from operations where agent_id = any(${runs.map((run) => run.agent_id)}::text[])
      and kind = any(${[...ACTS]}::text[]) order by sequence`.execute(database);
  return runs.map((run) => ({ ...run, steps: rows.filter(({ agentId }) => agentId === run.agent_id) }));
}

/** How the newest run ended that was not refused, and when the newest one succeeded. */
export async function readOutcome(
  database: Database,
): Promise<{ status: CanaryRun['status'] | null; succeededAt: Date | null }> {
  const { rows } = await sql<{ status: CanaryRun['status'] | null; succeededAt: Date | null }>`
    select (select status from canary_runs where status in ('succeeded', 'failed') order by finished_at desc limit 1) as status,
      (select max(finished_at) from canary_runs where status = 'succeeded') as "succeededAt"`.execute(
    database,
  );
  return rows[0]!;
}

/** Whether an agent is a canary and no customer, in SQL. `agentId`: a column. */
export const isCanary = (agentId: string) =>
  sql<boolean>`exists (select from canary_runs where canary_runs.agent_id = ${sql.ref(agentId)})`;
