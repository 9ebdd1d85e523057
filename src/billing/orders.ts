import { type Selectable, sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { OrderTable } from '../database/tables.ts';
import { NotFoundError } from '../errors.ts';

export type OrderRow = Selectable<OrderTable>;

/**
 * Returns a page of orders, newest first. `cursor` names the last order of the previous page, which always
 * exists because orders are never deleted.
 */
export async function listOrders(
  database: Database,
  page: { attention?: boolean | undefined; cursor?: { sessionId: string } | undefined; limit: number },
): Promise<OrderRow[]> {
  let query = database
    .selectFrom('orders')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('session_id')
    .limit(page.limit);
  if (page.attention !== undefined) {
    query = query.where('attention', page.attention ? 'is not' : 'is', null);
  }
  if (page.cursor !== undefined) {
    query = query.where(
      sql<boolean>`exists (select 1 from orders last where last.session_id = ${page.cursor.sessionId}
        and (orders.created_at < last.created_at
          or (orders.created_at = last.created_at and orders.session_id > last.session_id)))`,
    );
  }
  return query.execute();
}

/** Returns the order of a checkout session; undefined before its event has arrived. */
export function findOrder(
  database: Database,
  sessionId: string,
): Promise<Pick<OrderRow, 'agent_id' | 'created_at'> | undefined> {
  return database
    .selectFrom('orders')
    .select(['agent_id', 'created_at'])
    .where('session_id', '=', sessionId)
    .executeTakeFirst();
}

/** Returns the order of a checkout session. @throws NotFoundError */
export async function getOrder(database: Database, sessionId: string): Promise<OrderRow> {
  const row = await database
    .selectFrom('orders')
    .selectAll()
    .where('session_id', '=', sessionId)
    .executeTakeFirst();
  if (row === undefined) throw new NotFoundError(`There is no order ${sessionId}`);
  return row;
}
