import type { Selectable } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { AuditLogTable } from '../database/tables.ts';

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
