import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { Database } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';

/**
 * Lets work begin although nobody has looked what the clouds have: a person vouches that the rows are all
 * there is. For installations whose keys only the GitHub runners have, which cannot look. One transaction:
 * a kill leaves it done or not.
 * @throws ConflictError if nothing waits for it
 */
export async function acceptState(
  { database }: { database: Database },
  { actor, note }: { actor: string; note: string | undefined },
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    // Orders from before this database are its own, as after a rebuild.
    const { rows } = await sql`update installation set recovery = 'none', created_at = least(created_at,
      coalesce((select min(created_at) from agents), created_at)) where recovery = 'needed'
      returning mode`.execute(trx);
    if (rows.length === 0) throw new ConflictError('This database does not stand in for another one');
    await audit(trx, {
      actor,
      action: 'recovery.accepted',
      ...(note !== undefined && { details: { note } }),
    });
  });
}
