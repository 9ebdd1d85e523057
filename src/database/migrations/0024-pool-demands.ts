import { type Kysely, sql } from 'kysely';

/** Which slots each worker wants: the workers of a rolling release want different ones. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table pool_demands (
     worker_id text not null check (length(worker_id) between 1 and 300),
     project text not null check (project ~ '^[a-z0-9](-?[a-z0-9])*$'),
     location text not null check (location ~ '^[a-z0-9-]{1,20}$'),
     plan text not null check (length(plan) between 1 and 40),
     size int not null check (size between 0 and 1000),
     fingerprint text not null check (length(fingerprint) between 1 and 100),
     -- When a worker first wanted slots with this fingerprint: the latest one is the newest release's.
     since timestamptz not null default now(),
     -- When the worker last said so. One that has stopped saying it hands nothing over.
     seen_at timestamptz not null default now(),
     primary key (project, location, plan, worker_id))`,

  // From which slot an agent has a name: it goes back with the slot, whatever other names the agent has.
  `alter table server_names add column slot_id text`,
  `alter table tailnet_join_names add column slot_id text`,

  // Asked by whatever waits for the hand-overs of the moment.
  `create index slots_claimed on slots (claimed_at) where status = 'claimed'`,
];
