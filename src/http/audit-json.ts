import { z } from 'zod';
import type { AuditRow } from '../audit/listing.ts';

export const auditJson = z
  .object({
    id: z.int(),
    at: z.iso.datetime(),
    actor: z.string().meta({
      description: 'Who: `operator`, `operator via mcp` (a program for them), `stripe` or `service`',
    }),
    action: z.string(),
    agentId: z.string().nullable(),
    operationId: z.string().nullable(),
    details: z.record(z.string(), z.unknown()),
    position: z.int().nullable().meta({ description: 'Its place in the chain; null until it is sealed' }),
    hash: z.string().nullable(),
  })
  .meta({ id: 'AuditRow' });

export type AuditJson = z.input<typeof auditJson>;

export function presentAudit(row: AuditRow): AuditJson {
  return {
    id: row.id,
    at: row.at.toISOString(),
    actor: row.actor,
    action: row.action,
    agentId: row.agent_id,
    operationId: row.operation_id,
    details: row.details,
    position: row.position,
    hash: row.hash?.toString('hex') ?? null,
  };
}

const headJson = z.object({ position: z.int(), hash: z.string() });

export const verificationJson = z
  .object({
    rows: z.int().meta({ description: 'How many rows were verified' }),
    waiting: z.int().meta({ description: 'Rows that are not sealed yet' }),
    head: headJson.nullable().meta({ description: 'The end of the chain; worth noting elsewhere' }),
    flaw: z
      .object({
        kind: z.enum(['altered', 'removed', 'inserted', 'link-missing', 'head', 'receipt', 'date']),
        position: z.int().nullable(),
        auditId: z.int().nullable(),
        detail: z.string(),
      })
      .nullable()
      .meta({ description: 'The first thing that is wrong, a `date` last; null if nothing is' }),
  })
  .meta({ id: 'AuditVerification' });
