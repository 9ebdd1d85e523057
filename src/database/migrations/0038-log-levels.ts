import { type Kysely, sql } from 'kysely';

/** The few lines of a log that may be errors or warnings, so that nobody waits for a scan of a long one. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index operation_events_notable on operation_events (operation_id, sequence)
    where type = 'log' and (data ->> 'line') like any (array['error:%', 'fatal:%', '%: failed%',
      '%: the server cannot be reached (%', 'warning:%', '…%', '%: not yet, try %', '%: replacing it'])`.execute(
    db,
  );
}
