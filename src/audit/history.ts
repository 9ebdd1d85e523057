import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';

/** A worker that has begun an operation seals the log within seconds. */
const SEALED_WITHIN = sql`interval '10 minutes'`;

/**
 * Whether this database must have had a chain, so that an empty one was emptied: rows are marked as sealed,
 * a passphrase was changed in the middle of the chain, or a worker began something long ago. An API alone
 * may have accepted orders for days. Operations from before these tables were made came with a backup, or
 * are from a version that had no chain.
 */
export async function mustHaveChain(trx: Transaction): Promise<boolean> {
  const { rows } = await sql<{ must: boolean }>`
    select exists (select from audit_log where sealed)
      or exists (select from key_epochs where first_position > 1)
      or exists (select from operations where started_at < now() - ${SEALED_WITHIN}
        and started_at > (select timestamp::timestamptz from kysely_migration where name = '0017-audit-chain'))
      as must`.execute(trx);
  return rows[0]!.must;
}
