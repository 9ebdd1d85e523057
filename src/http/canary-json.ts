import { z } from 'zod';
import { SERVERS_MADE } from '../canary/acts.ts';
import type { CanaryRun, RunStep } from '../canary/runs.ts';

export const canaryJson = z
  .object({
    runId: z.uuid(),
    agentId: z.string(),
    status: z.enum(['running', 'succeeded', 'failed', 'refused']),
    cause: z.enum(['person', 'schedule']),
    region: z.string(),
    plan: z.string(),
    maxEuros: z.number(),
    expectedEuros: z.number().nullable().meta({
      description: 'Each of its servers for an hour, which Hetzner bills at least; null: not known yet',
    }),
    error: z.string().nullable(),
    startedAt: z.iso.datetime(),
    finishedAt: z.iso.datetime().nullable(),
    steps: z.array(
      z.object({
        kind: z.string(),
        status: z.string(),
        seconds: z.number().nullable(),
        euros: z.number().nullable().meta({ description: 'What the step adds to the bill' }),
        error: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'Canary' });

export type CanaryJson = z.infer<typeof canaryJson>;

/** Steps that make a server, which is billed for a begun hour at once. */
const MAKES_SERVER = ['provision', 'wake'];

export function presentCanary(run: CanaryRun & { steps: readonly RunStep[] }): CanaryJson {
  const expected = run.expected_euros === null ? null : Number(run.expected_euros);
  return {
    runId: run.run_id,
    agentId: run.agent_id,
    status: run.status,
    cause: run.cause,
    region: run.region,
    plan: run.plan,
    maxEuros: Number(run.max_euros),
    expectedEuros: expected,
    error: run.error,
    startedAt: run.started_at.toISOString(),
    finishedAt: run.finished_at?.toISOString() ?? null,
    steps: run.steps.map(({ kind, status, seconds, error }) => ({
      kind,
      status,
      seconds,
      euros: expected === null ? null : MAKES_SERVER.includes(kind) ? expected / SERVERS_MADE : 0,
      error,
    })),
  };
}
