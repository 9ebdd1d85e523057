import { type Selectable, sql } from 'kysely';
import type { AuditLogTable } from '../database/audit-tables.ts';
import type { Database } from '../database/connect.ts';

/** A row of the audit log; position and hash are null until it is sealed. */
export type AuditRow = Omit<Selectable<AuditLogTable>, 'sealed'> & {
  position: number | null;
  hash: Buffer | null;
};

/** Lists the audit log, newest first. `before`: the last id of the previous page. */
export function listAudit(
  database: Database,
  page: { agentId?: string | undefined; before?: number | undefined; limit: number },
): Promise<AuditRow[]> {
  const { agentId, before, limit } = page;
  return database
    .selectFrom('audit_log as a')
    .leftJoin('audit_chain as c', 'c.audit_id', 'a.id')
    .select(['a.id', 'a.at', 'a.actor', 'a.action', 'a.agent_id', 'a.operation_id', 'a.details'])
    .select(['c.position', 'c.hash'])
    .$if(agentId !== undefined, (query) => query.where('a.agent_id', '=', agentId!))
    .$if(before !== undefined, (query) => query.where('a.id', '<', before!))
    .orderBy('a.id', 'desc')
    .limit(limit)
    .execute();
}

/** Returns the link that holds a receipt; null until it is sealed. */
export async function findReceiptLink(
  database: Database,
  agentId: string,
  receiptId: string,
): Promise<{ auditId: number; position: number; hash: string } | null> {
  const link = await database
    .selectFrom('audit_log as a')
    .innerJoin('audit_chain as c', 'c.audit_id', 'a.id')
    .select(['a.id as auditId', 'c.position', 'c.hash'])
    .where('a.agent_id', '=', agentId)
    .where('a.action', '=', 'receipt.issued')
    .where(sql<boolean>`a.details->>'receiptId' = ${receiptId}`)
    .executeTakeFirst();
  return link === undefined ? null : { ...link, hash: link.hash.toString('hex') };
}

/** Who asked for an operation, and why if it was the service. */
export interface Asker {
  actor: string;
  cause: string | null;
}

/** Returns who asked for each of an agent's operations, by the operation's id. */
export async function findAskers(
  database: Database,
  agentId: string,
  operationIds: readonly string[],
): Promise<Map<string, Asker>> {
  if (operationIds.length === 0) return new Map();
  const rows = await database
    .selectFrom('audit_log')
    .select(['operation_id', 'actor', sql<string | null>`details ->> 'cause'`.as('cause')])
    .distinctOn('operation_id')
    .where('agent_id', '=', agentId)
    .where('operation_id', 'in', [...operationIds])
    .where('action', 'like', 'agent.%')
    .orderBy('operation_id')
    .orderBy('id')
    .execute();
  return new Map(
    rows.flatMap(({ operation_id: id, actor, cause }) => (id === null ? [] : [[id, { actor, cause }]])),
  );
}
