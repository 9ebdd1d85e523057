import { z } from 'zod';
import type { AgentSnapshotRow } from '../../agents/snapshots.ts';
import { AGENT_SNAPSHOT_REASONS, AGENT_SNAPSHOT_STATUSES } from '../../database/agent-snapshot-tables.ts';
import type { DrillState } from '../../snapshots/drills.ts';

export const snapshotJson = z
  .object({
    snapshotId: z.uuid().meta({ description: 'The id of the operation that made it' }),
    agentId: z.string(),
    why: z.enum(AGENT_SNAPSHOT_REASONS),
    status: z.enum(AGENT_SNAPSHOT_STATUSES).meta({ description: 'lost: Hetzner no longer has it' }),
    hetznerId: z.string().nullable(),
    sizeGb: z.number().nullable().meta({ description: 'What Hetzner bills' }),
    madeAt: z.iso.datetime().meta({ description: 'Nothing on it is older than this' }),
    deleteAfter: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'null: the schedule, a person or the agent’s destroy decides' }),
    error: z.string().nullable(),
  })
  .meta({ id: 'Snapshot' });

export type SnapshotJson = z.input<typeof snapshotJson>;

export const snapshotsJson = z.object({ items: z.array(snapshotJson) });

export const presentSnapshot = (row: AgentSnapshotRow): SnapshotJson => ({
  snapshotId: row.snapshot_id,
  agentId: row.agent_id,
  why: row.why,
  status: row.status,
  hetznerId: row.hetzner_id,
  sizeGb: row.size_gb,
  madeAt: row.made_at.toISOString(),
  deleteAfter: row.delete_after?.toISOString() ?? null,
  error: row.error,
});

export const drillJson = z
  .object({
    drillId: z.string(),
    agentId: z.string(),
    snapshotId: z.uuid(),
    snapshotMadeAt: z.iso.datetime(),
    cause: z.enum(['person', 'schedule']),
    status: z.enum(['running', 'succeeded', 'failed', 'cancelled']),
    error: z.string().nullable(),
    startedAt: z.iso.datetime(),
    finishedAt: z.iso.datetime().nullable().meta({ description: 'When its server was gone' }),
  })
  .meta({ id: 'SnapshotDrill' });

export type DrillJson = z.input<typeof drillJson>;

export const drillsJson = z.object({ items: z.array(drillJson) });

export const presentDrill = (row: DrillState): DrillJson => ({
  drillId: row.drill_id,
  agentId: row.agent_id,
  snapshotId: row.snapshot_id,
  snapshotMadeAt: row.made_at.toISOString(),
  cause: row.cause,
  status: row.status,
  error: row.error,
  startedAt: row.started_at.toISOString(),
  finishedAt: row.finished_at?.toISOString() ?? null,
});
