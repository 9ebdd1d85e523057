import { sql } from 'kysely';
import { StateLostError } from '../errors.ts';
import type { Database } from './connect.ts';

/**
 * Whether the project has servers from before this database, or may have some: whose they are is not known
 * yet, and nothing may be made or removed.
 */
export const recovering = sql<boolean>`exists (select 1 from installation where recovery <> 'none')`;

/** As `recovering`, now. */
export async function isRecovering(database: Database): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`select ${recovering} as found`.execute(database);
  return rows[0]?.found === true;
}

/** Whether it is known that agents of a lost database have to be found again. */
export const stateLost = sql<boolean>`exists (select 1 from installation where recovery = 'needed')`;

/** @throws StateLostError while an agent may be one of a lost database */
export async function refuseWhileLost(database: Database): Promise<void> {
  const { rows } = await sql<{ lost: boolean }>`select ${stateLost} as lost`.execute(database);
  if (rows[0]?.lost === true)
    throw new StateLostError('The agents of this installation are not known again yet: see Attention');
}
