import { type Kysely, sql } from 'kysely';

/** Nobody is called what the audit log calls parts of the service; and drills that a destroy ends. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // Their login stays. What they did so far stands in the audit log under the former name.
  `with renamed as (
     update people set name = name || '-' || left(person_id::text, 8) where name in ('billing', 'canary')
     returning name, person_id)
   insert into audit_log (actor, action, details)
   select 'service', 'person.rename', jsonb_build_object('name', name, 'personId', person_id) from renamed`,
  `alter table people add constraint people_name_reserved check (name not in ('billing', 'canary'))`,
  // Ended before it had shown anything: it has neither succeeded nor failed.
  `alter table snapshot_drills add column cancelled boolean not null default false,
     drop constraint snapshot_drills_status_check,
     add constraint snapshot_drills_status_check check (status in ('running', 'succeeded', 'failed', 'cancelled')),
     add check (status <> 'cancelled' or cancelled)`,
];
