import { sql } from 'kysely';
import { mailAddress } from '../config/notices.ts';
import type { Transaction } from '../database/connect.ts';

/** Finds buyers' mail addresses from their checkouts, by agent. Of several orders the newest counts. */
export async function findBuyers(
  trx: Transaction,
  agentIds: readonly string[],
): Promise<Map<string | null, string>> {
  const { rows } = await sql<{ agentId: string; email: string }>`
    select o.agent_id as "agentId", e.payload #>> '{data,object,customer_details,email}' as email
    from orders o join stripe_events e on e.id = o.stripe_event_id
    where o.agent_id = any(${[...agentIds]})
      and jsonb_typeof(e.payload #> '{data,object,customer_details,email}') = 'string'
    order by o.created_at, o.session_id`.execute(trx);
  return new Map(
    rows.flatMap(({ agentId, email }) =>
      mailAddress.safeParse(email).success ? [[agentId, email] as const] : [],
    ),
  );
}
