import { audit } from '../agents/audit.ts';
import type { Transaction } from '../database/connect.ts';
import type { Role } from '../database/vocabulary.ts';
import { ConflictError } from '../errors.ts';
import { personNameSchema } from './names.ts';
import { insertPerson, type PersonRow } from './people.ts';

/** Whom an OpenID provider has recognised. */
export interface Claimed {
  issuer: string;
  /** The provider's own name for them, which never changes. */
  subject: string;
  login: string;
  /** What the provider says; undefined: admins say it. */
  role: Role | undefined;
}

/** Nobody here is the one whom the provider has recognised. */
export class UnknownPersonError extends Error {
  override name = 'UnknownPersonError';
}

/**
 * Finds who signs in by an OpenID provider: by the provider's name for them, at the first sign-in by their
 * login. Where the provider says the role, who is unknown is added, and the role follows.
 * @throws UnknownPersonError
 */
export async function findClaimed(trx: Transaction, claimed: Claimed): Promise<PersonRow> {
  const known = (await findBySubject(trx, claimed)) ?? (await bindByLogin(trx, claimed));
  if (known !== undefined) return followRole(trx, known, claimed);
  const { issuer, subject, login, role } = claimed;
  if (role === undefined)
    throw new UnknownPersonError(`Nobody here has the login ${login}: ask an admin to add it`);
  // The audit log must not take them for another.
  if (!personNameSchema.safeParse(login).success)
    throw new UnknownPersonError(`Nobody can be called ${login} here`);
  try {
    const identity = { oidc_issuer: issuer, oidc_subject: subject, role_by_claim: true };
    const row = await insertPerson(trx, { name: login, login, role, created_by: login, ...identity });
    await audit(trx, { actor: login, action: 'person.add', details: { name: login, role, issuer } });
    return row;
  } catch (error) {
    // The name is somebody's who has another login.
    if (error instanceof ConflictError) throw new UnknownPersonError(error.message);
    throw error;
  }
}

function findBySubject(trx: Transaction, { issuer, subject }: Claimed): Promise<PersonRow | undefined> {
  return trx
    .selectFrom('people')
    .selectAll()
    .where('oidc_issuer', '=', issuer)
    .where('oidc_subject', '=', subject)
    .forUpdate()
    .executeTakeFirst();
}

/** From now on only this subject is them: a login that the provider gives to somebody else opens nothing. */
async function bindByLogin(trx: Transaction, claimed: Claimed): Promise<PersonRow | undefined> {
  const { issuer, subject, login } = claimed;
  const found = await trx
    .selectFrom('people')
    .selectAll()
    .where('login', '=', login)
    .forUpdate()
    .executeTakeFirst();
  if (found === undefined) return undefined;
  if (found.oidc_subject !== null)
    throw new UnknownPersonError(`The login ${login} belongs to another account of the OpenID provider`);
  const row = await trx
    .updateTable('people')
    .set({ oidc_issuer: issuer, oidc_subject: subject })
    .where('person_id', '=', found.person_id)
    .returningAll()
    .executeTakeFirstOrThrow();
  await audit(trx, { actor: row.name, action: 'person.bind', details: { name: row.name, issuer } });
  return row;
}

async function followRole(trx: Transaction, known: PersonRow, { role }: Claimed): Promise<PersonRow> {
  const byClaim = role !== undefined;
  if (known.role_by_claim === byClaim && (role ?? known.role) === known.role) return known;
  const row = await trx
    .updateTable('people')
    .set({ role: role ?? known.role, role_by_claim: byClaim })
    .where('person_id', '=', known.person_id)
    .returningAll()
    .executeTakeFirstOrThrow();
  if (row.role !== known.role) {
    const details = { name: row.name, from: known.role, to: row.role, byClaim };
    await audit(trx, { actor: row.name, action: 'person.role', details });
  }
  return row;
}
