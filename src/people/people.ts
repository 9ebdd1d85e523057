import { type Selectable, sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { type Database, type Transaction, violatedConstraint } from '../database/connect.ts';
import type { PersonTable } from '../database/people-tables.ts';
import type { Role } from '../database/vocabulary.ts';
import { ConflictError, NotFoundError } from '../errors.ts';

export type PersonRow = Selectable<PersonTable>;

export interface NewPerson {
  name: string;
  role: Role;
  /** What Tailscale and the OpenID provider call them; default: the name. */
  login?: string | undefined;
  /** Who adds them, as the audit log names them. */
  actor: string;
}

/** Adds somebody. @throws ConflictError if the name or the login is taken */
export async function addPerson(trx: Transaction, { actor, ...wanted }: NewPerson): Promise<PersonRow> {
  const { name, role, login = name } = wanted;
  const row = await insertPerson(trx, { name, login, role, created_by: actor });
  await audit(trx, { actor, action: 'person.add', details: { name, role, login } });
  return row;
}

type Values = Pick<PersonRow, 'name' | 'login' | 'role' | 'created_by'> & Partial<PersonRow>;

/** @throws ConflictError if the name or the login is taken */
export async function insertPerson(trx: Transaction, values: Values): Promise<PersonRow> {
  try {
    return await trx.insertInto('people').values(values).returningAll().executeTakeFirstOrThrow();
  } catch (error) {
    const taken = violatedConstraint(error);
    if (taken === 'people_name_key')
      throw new ConflictError(`There is somebody called ${values.name} already`);
    if (taken === 'people_login_key')
      throw new ConflictError(`The login ${values.login} belongs to somebody already`);
    throw error;
  }
}

/** Everybody, by name. */
export function listPeople(database: Database): Promise<PersonRow[]> {
  return database.selectFrom('people').selectAll().orderBy('name').execute();
}

export function findByLogin(database: Database, login: string): Promise<PersonRow | undefined> {
  return database.selectFrom('people').selectAll().where('login', '=', login).executeTakeFirst();
}

interface Change {
  name: string;
  /** Who does it, as the audit log names them; `actorId`: their row, if they have one. */
  actor: string;
  actorId: string | undefined;
}

/**
 * Changes what somebody may do, at once: every request looks it up.
 * @throws NotFoundError
 * @throws ConflictError for oneself, or if the OpenID provider says the role
 */
export async function changeRole(trx: Transaction, change: Change & { role: Role }): Promise<PersonRow> {
  const { name, role, actor } = change;
  const before = await lockOther(trx, change);
  if (before.role_by_claim)
    throw new ConflictError(`The role of ${name} comes from the OpenID provider: change it there`);
  const row = await trx
    .updateTable('people')
    .set({ role })
    .where('person_id', '=', before.person_id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await audit(trx, { actor, action: 'person.role', details: { name, from: before.role, to: role } });
  return row;
}

/**
 * Removes somebody with their tokens and sessions, which are refused at once.
 * @throws NotFoundError
 * @throws ConflictError for oneself
 */
export async function removePerson(trx: Transaction, change: Change): Promise<PersonRow> {
  const row = await lockOther(trx, change);
  await trx.deleteFrom('people').where('person_id', '=', row.person_id).execute();
  const { name, actor } = change;
  await audit(trx, { actor, action: 'person.remove', details: { name, role: row.role } });
  return row;
}

/** Nobody changes themselves: an admin who slips would lock everybody out but the holder of API_TOKEN. */
async function lockOther(trx: Transaction, { name, actorId }: Change): Promise<PersonRow> {
  const row = await getPerson(trx, name);
  if (row.person_id === actorId)
    throw new ConflictError('Nobody changes or removes themselves: ask another admin');
  return row;
}

/** Reads and locks somebody. @throws NotFoundError */
export async function getPerson(trx: Transaction, name: string): Promise<PersonRow> {
  const row = await trx
    .selectFrom('people')
    .selectAll()
    .where(sql<boolean>`name = ${name}`)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw new NotFoundError(`There is nobody called ${name}`);
  return row;
}
