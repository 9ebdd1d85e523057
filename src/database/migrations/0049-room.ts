import { type Kysely, sql } from 'kysely';

/** It is known which orders wait for a place in a full Hetzner project, and how long each removal takes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table operations
     -- The attempt has found its Hetzner project full: it wants a slot's place, or one was freed for it.
     add column room text check (room in ('wanted', 'freed'))`,
  // A trigger, so that code that begins or ends an attempt cannot forget to clear it.
  `create function forget_room() returns trigger language plpgsql as $$
   begin
     new.room := null;
     return new;
   end $$`,
  `create trigger operations_forget_room before update on operations
     for each row when (new.room is not null
       and (new.attempt <> old.attempt or new.status not in ('queued', 'active'))) execute function forget_room()`,
  `create index operations_room on operations (agent_id) where room is not null`,

  // A lease that is renewed changes \`updated_at\`, so that does not tell how long a removal has taken.
  `alter table slots add column removing_since timestamptz`,
  `update slots set removing_since = updated_at where status = 'removing'`,
  `create function note_removal() returns trigger language plpgsql as $$
   begin
     if tg_op = 'INSERT' or old.status <> 'removing' then new.removing_since := now(); end if;
     return new;
   end $$`,
  `create trigger slots_note_removal before insert or update of status on slots
     for each row when (new.status = 'removing') execute function note_removal()`,
];
