import { type Kysely, sql } from 'kysely';

/**
 * Leaves the list of operation kinds to the program, so that a new kind needs no migration. Gives a code to
 * failures that the next attempt handles, so that nothing parses an error's text.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

/** The failure of the last attempt: the `error` from before any failed dispatches. */
const ATTEMPT_ERROR = 'case when dispatch_failures > 0 then error_before_dispatch else error end';

const STATEMENTS = [
  `alter table operations
     drop constraint operations_kind_check,
     add constraint operations_kind_form check (kind ~ '^[a-z][a-z-]{0,30}$'),
     add column failure_code text,
     add constraint operations_failure_code_form check (failure_code ~ '^[a-z][a-z-]{0,59}$')`,
  `update operations set failure_code = 'not-joined'
     where starts_with(${ATTEMPT_ERROR}, 'The server did not join the tailnet in time')`,
];
