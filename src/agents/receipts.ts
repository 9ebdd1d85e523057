import { sql } from 'kysely';
import { z } from 'zod';
import type { Database, Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import { findAdoption } from './adoptions.ts';
import { audit } from './audit.ts';
import { findLastSnapshot } from './snapshots.ts';

const MOST_REMOVED = 50;
const cloud = z.enum(['hetzner', 'tailscale']);

/** What the clouds answered before the removal and after it. Bounded, because a runner may send it. */
export const evidenceSchema = z.object({
  /** What a cloud listed before the removal. */
  removed: z
    .array(
      z.object({
        cloud,
        kind: z.enum(['server', 'ssh-key', 'device', 'snapshot']),
        id: z.string().max(60),
        name: z.string().max(255),
      }),
    )
    .max(MOST_REMOVED),
  /** The attempt that listed it. Earlier ones may have removed more. */
  attempt: z.int().min(1).optional(),
  /** The clouds that did not answer before the removal: nothing of theirs is in the list. */
  unlisted: z.array(cloud).min(1).max(cloud.options.length).optional(),
  /** When each cloud answered that it lists nothing of this any more. A hibernation keeps the device. */
  gone: z.object({ hetzner: z.iso.datetime(), tailscale: z.iso.datetime().optional() }),
});
export type Evidence = z.infer<typeof evidenceSchema>;

export const MOST_EVIDENCE = MOST_REMOVED;

export interface Receipt {
  receiptId: string;
  kind: string;
  /** Who the agent was, what its rows knew, and the evidence. */
  body: Record<string, unknown>;
  /** SHA-256 of the body as Postgres writes it; the audit log has the same. */
  hash: string;
  createdAt: Date;
}

/**
 * Issues the receipt of a destroy or a hibernation, in the transaction that settles it and before the agent's
 * columns are cleared. The audit log gets its hash, so that the chain holds the receipt. Without evidence (an
 * older runner sends none) the receipt says so.
 */
export async function issueReceipt(
  trx: Transaction,
  { agentId, kind, evidence }: { agentId: string; kind: string; evidence: Evidence | undefined },
): Promise<void> {
  const agent = await trx
    .selectFrom('agents')
    .select(['user_id as userId', 'plan', 'region', 'location', 'stack_name as stackName'])
    .select(['subscription_id as subscriptionId', 'created_at as createdAt'])
    .select(['server_id as serverId', 'server_name as serverName', 'ipv4', 'ipv6'])
    .select(['tailnet_ip as tailnetIp', 'tailnet_name as tailnetName', 'tailnet_node_id as tailnetNodeId'])
    .select('snapshot_id as snapshotId')
    .where('agent_id', '=', agentId)
    .executeTakeFirstOrThrow();
  const adoption = await findAdoption(trx, agentId);
  const body = jsonText({
    agentId,
    kind,
    agent: { ...agent, createdAt: agent.createdAt.toISOString() },
    evidence: evidence ?? null,
    ...(adoption !== undefined && { adoption }),
    ...(kind === 'destroy' && { lastSnapshot: await readLast(trx, agentId) }),
  });
  const { receiptId, hash } = await trx
    .insertInto('receipts')
    .values({ agent_id: agentId, kind, body })
    .returning(['receipt_id as receiptId', bodyHash.as('hash')])
    .executeTakeFirstOrThrow();
  await audit(trx, {
    actor: 'service',
    action: 'receipt.issued',
    agentId,
    details: { receiptId, hash },
  });
}

/** What is left of a destroyed agent, and until when; null: nothing. */
async function readLast(trx: Transaction, agentId: string): Promise<object | null> {
  const last = await findLastSnapshot(trx, agentId);
  if (last === undefined) return null;
  const { snapshot_id: snapshotId, hetzner_id: hetznerId, size_gb: sizeGb, delete_after: until } = last;
  return { snapshotId, hetznerId, sizeGb, keptUntil: until?.toISOString() ?? null };
}

/** Returns an agent's newest receipt. */
export function findReceipt(database: Database, agentId: string): Promise<Receipt | undefined> {
  return database
    .selectFrom('receipts')
    .select(['receipt_id as receiptId', 'kind', 'body', 'created_at as createdAt', bodyHash.as('hash')])
    .where('agent_id', '=', agentId)
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst();
}

const bodyHash = sql<string>`encode(sha256(convert_to(body::text, 'UTF8')), 'hex')`;
