import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { AgentInputs } from '../../stacks/inputs.ts';
import type { Database } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';

/** The form of the names of servers that are not named after their agents. */
export const SERVER_NAME = /^srv-[0-9a-f]{20}$/;

/** Returns a name for a new server, which nobody can guess and which says nothing about its agent. */
export const newServerName = (): string => `srv-${randomBytes(10).toString('hex')}`;

/**
 * Reserves a server's name for its owner forever, so that whatever carries it can always be attributed.
 * @throws ConflictError if it belongs to another
 */
export async function recordServerName(
  database: Database,
  ownerId: string,
  { serverName }: Pick<AgentInputs, 'serverName'>,
): Promise<void> {
  if (serverName === undefined) return;
  await database
    .insertInto('server_names')
    .values({ name: serverName, owner_id: ownerId })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const { owner_id: owner } = await database
    .selectFrom('server_names')
    .select('owner_id')
    .where('name', '=', serverName)
    .executeTakeFirstOrThrow();
  if (owner !== ownerId) throw new ConflictError(`The server name ${serverName} belongs to another`);
}

/** Maps those of these names that are servers' names to their owners. */
export async function readServerNames(
  database: Database,
  names: readonly string[],
): Promise<Map<string, string>> {
  const { rows } = await sql<{ name: string; ownerId: string }>`
    select name, owner_id as "ownerId" from server_names where name = any(${[...names]}::text[])`.execute(
    database,
  );
  return new Map(rows.map(({ name, ownerId }) => [name, ownerId]));
}
