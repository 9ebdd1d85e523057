import { z } from 'zod';
import type { ProposalRow } from '../operations/proposals.ts';

const time = z.iso.datetime();

export const proposalJson = z
  .object({
    proposalId: z.guid(),
    agentId: z.string(),
    kind: z.string(),
    agentStatus: z
      .string()
      .meta({ description: 'The agent’s when it was proposed; approved only while it still is' }),
    reason: z.string(),
    proposedBy: z.string(),
    proposedAt: time,
    expiresAt: time,
    status: z.enum(['open', 'expired', 'approved', 'rejected']),
    decidedBy: z.string().nullable(),
    decidedAt: time.nullable(),
    operationId: z.guid().nullable().meta({ description: 'What an approved one led to' }),
  })
  .meta({ id: 'Proposal' });

/** A proposal as API clients see it. */
export function presentProposal(row: ProposalRow): z.input<typeof proposalJson> {
  return {
    proposalId: row.proposal_id,
    agentId: row.agent_id,
    kind: row.kind,
    agentStatus: row.agent_status,
    reason: row.reason,
    proposedBy: row.proposed_by,
    proposedAt: row.proposed_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    status: row.decision ?? (row.expires_at <= new Date() ? 'expired' : 'open'),
    decidedBy: row.decided_by,
    decidedAt: row.decided_at?.toISOString() ?? null,
    operationId: row.operation_id,
  };
}
