import { type Kysely, sql } from 'kysely';

/**
 * Tells open pages at once what changes without an operation. A notification takes a database-wide lock, so
 * only rows that look different tell, and none that changes together with an operation: its events tell
 * that.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create function tell_pages() returns trigger language plpgsql as $$
   begin
     perform pg_notify('pages_changed', '');
     return null;
   end $$`,
  `create trigger agents_tell_pages after update of health, unhealthy_since, protected, error on agents
     for each row when (old.status = new.status
       and (old.health, old.unhealthy_since is null, old.protected, old.error)
         is distinct from (new.health, new.unhealthy_since is null, new.protected, new.error))
     execute function tell_pages()`,
  `create trigger checks_tell_pages after update of ok, detail on checks
     for each row when ((old.ok, old.detail) is distinct from (new.ok, new.detail)) execute function tell_pages()`,
  `create trigger findings_tell_pages after update of cause, cure on findings
     for each row when ((old.cause, old.cure) is distinct from (new.cause, new.cure)) execute function tell_pages()`,
  `create trigger breakers_tell_pages after update of tripped_at, approved_at, cause on breakers
     for each row when ((old.tripped_at, old.approved_at, old.cause)
       is distinct from (new.tripped_at, new.approved_at, new.cause)) execute function tell_pages()`,
  `create trigger orders_tell_pages after insert on orders
     for each row when (new.attention is not null) execute function tell_pages()`,
  ...Object.entries({
    checks: 'insert or delete',
    findings: 'insert or delete',
    holds: 'insert or delete',
    held_changes: 'insert or delete',
    proposals: 'insert or update of decision',
    workers: 'insert or delete',
  }).map(
    ([table, events]) =>
      `create trigger ${table}_rows_tell_pages after ${events} on ${table} for each row execute function tell_pages()`,
  ),
];
