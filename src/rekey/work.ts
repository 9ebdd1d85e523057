import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';

/** Attempts under way: operations, and the work on slots and images. */
async function listWork(database: Database): Promise<Set<string>> {
  const { rows } = await sql<{ work: string }>`
    select operation_id || ' ' || attempt as work from operations where status = 'active'
    union all select work_id || ' ' || attempt from slots where lease_until > now()
    union all select work_id || ' ' || attempt from images where lease_until > now()`.execute(database);
  return new Set(rows.map(({ work }) => work));
}

/**
 * Follows the attempts that began before all processes sealed with the new key: they may still create a stack
 * under the former one. Later ones do not.
 */
export class EarlierWork {
  #earlier: ReadonlySet<string> | undefined;

  /** How many of them are left; the first call, when all processes have followed, says which they are. */
  async countLeft(database: Database): Promise<number> {
    const now = await listWork(database);
    this.#earlier =
      this.#earlier === undefined ? now : new Set([...this.#earlier].filter((work) => now.has(work)));
    return this.#earlier.size;
  }
}
