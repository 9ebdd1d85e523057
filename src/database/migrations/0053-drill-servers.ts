import { type Kysely, sql } from 'kysely';

/** A restore drill ends although its project is out of reach; its server is removed later. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table snapshot_drills
     -- When its server, which could not be removed before the drill ended, is looked for next; null: it is gone.
     add column removal_due_at timestamptz,
     add check (removal_due_at is null or finished_at is not null)`,
  `create index snapshot_drills_left on snapshot_drills (removal_due_at) where removal_due_at is not null`,
];
