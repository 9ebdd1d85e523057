import { type RawBuilder, sql } from 'kysely';
import type { Database, Transaction } from '../../database/connect.ts';
import type { Waiting } from '../../operations/claims.ts';
import { appendEvents } from '../../operations/events/events.ts';
import { operationKinds } from '../../operations/registry.ts';
import type { OperationKind } from '../../operations/states.ts';

/** Whether a worker's configuration lets it run operations, and if not, why they wait. */
export interface Readiness {
  /** Why operations of this kind wait; undefined if they can run. */
  waitReason(kind: OperationKind): string | undefined;
  /** Why operations in some Hetzner projects wait, by project, while others run. */
  projectReasons?(): ReadonlyMap<string, string>;
  /** Repeats the checks now: a try has failed, and the configuration may be the cause. */
  recheck(): Promise<void>;
}

/** What no worker with these results and these Hetzner projects claims. */
export function toWaiting(readiness: Readiness | undefined, ownProjects?: readonly string[]): Waiting {
  return {
    ownProjects,
    kinds: operationKinds().filter((kind) => readiness?.waitReason(kind) !== undefined),
    projects: [...(readiness?.projectReasons?.().keys() ?? [])],
  };
}

/** A worker counts as alive for this long after it was last seen. */
const SILENT_SECONDS = 10;

/**
 * Records on each due operation why no worker claims it, once per reason, and clears the reason once it is
 * fixed. Records nothing while another worker could claim the operation.
 */
export async function tellWaiting(
  database: Database,
  readiness: Readiness,
  ownProjects?: readonly string[],
): Promise<void> {
  const { kinds, projects } = toWaiting(readiness);
  await database
    .updateTable('operations')
    .set({ waits_for: null, updated_at: sql`now()` })
    .where('waits_for', 'is not', null)
    // One that waits for what is sold out is not due yet.
    .where(sql<boolean>`run_after <= now()`)
    .$if(kinds.length > 0, (query) => query.where('kind', 'not in', kinds))
    .$if(projects.length > 0, (query) => query.where(sql<boolean>`not ${isIn('operations', projects)}`))
    .$if(ownProjects !== undefined, (query) => query.where(isIn('operations', ownProjects ?? [])))
    .execute();
  for (const kind of kinds) {
    const which = sql<boolean>`o.kind = ${kind}`;
    await tell(database, { which, isServed: servedBy() }, readiness.waitReason(kind) ?? '');
  }
  for (const [project, reason] of readiness.projectReasons?.() ?? []) {
    const which = sql<boolean>`${isIn('o', [project])} and o.kind <> all(${kinds}::text[])`;
    await tell(database, { which, isServed: servedBy(sql`${project}::text`) }, reason);
  }
  if (ownProjects !== undefined) {
    const which = sql<boolean>`(not ${isIn('o', ownProjects)} and o.kind <> all(${kinds}::text[]))`;
    await tell(database, { which, isServed: knownElsewhere }, UNKNOWN_PROJECT);
  }
}

const UNKNOWN_PROJECT =
  'No worker has the Hetzner project of this agent: restart the workers with the HCLOUD_PROJECTS that names it, and its token';

/** Whether the agent of an operation is in one of these Hetzner projects. */
const isIn = (operation: 'o' | 'operations', projects: readonly string[]) =>
  sql<boolean>`exists (select 1 from agents a where a.agent_id = ${sql.ref(operation)}.agent_id
    and a.project = any(${[...projects]}::text[]))`;

interface Told {
  /** Of operations `o`. */
  which: RawBuilder<boolean>;
  /** Whether a worker could claim them. */
  isServed: RawBuilder<boolean>;
}

async function tell(database: Database, { which, isServed }: Told, reason: string): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const updated = await trx
      .updateTable('operations as o')
      .set({ waits_for: reason, updated_at: sql`now()` })
      .where('o.status', '=', 'queued')
      .where('o.executor', '=', 'local')
      .where(which)
      .where(sql<boolean>`o.run_after <= now() and o.waits_for is distinct from ${reason}`)
      .where(sql<boolean>`not ${isServed}`)
      .returning(['o.operation_id', 'o.attempt'])
      .execute();
    const logged = await findRecentlyLogged(trx, updated, reason);
    for (const row of updated.filter(({ operation_id: id }) => !logged.has(id)))
      await appendEvents(trx, row.operation_id, row.attempt, [
        { type: 'log', data: { line: reason, stream: 'service' } },
        { type: 'status', data: { status: 'queued', attempt: row.attempt, error: reason } },
      ]);
  });
}

/** Workers with different problems overwrite each other's reasons. Each is logged once in this time. */
const AGAIN_MINUTES = 10;

async function findRecentlyLogged(
  trx: Transaction,
  operations: readonly { operation_id: string }[],
  reason: string,
): Promise<Set<string>> {
  if (operations.length === 0) return new Set();
  const rows = await trx
    .selectFrom('operation_events')
    .select('operation_id')
    .where(
      'operation_id',
      'in',
      operations.map(({ operation_id: id }) => id),
    )
    .where(sql<boolean>`data->>'line' = ${reason} and at > now() - make_interval(mins => ${AGAIN_MINUTES})`)
    .execute();
  return new Set(rows.map(({ operation_id: id }) => id));
}

/** Whether a live worker passes all its checks, and those of the project if one is given. */
const servedBy = (project: RawBuilder<unknown> = sql`null::text`) => sql<boolean>`exists (
  select 1 from workers w where w.seen_at > now() - make_interval(secs => ${SILENT_SECONDS})
    and not exists (select 1 from checks c where c.worker_id = w.worker_id and not c.ok
      and (c.blocks or split_part(c.name, ':', 2) = ${project})))`;

/** Whether a live worker has the Hetzner project of operation `o`: then it checks that one. */
const knownElsewhere = sql<boolean>`exists (select 1 from workers w join checks c using (worker_id)
  join agents a on a.agent_id = o.agent_id
  where w.seen_at > now() - make_interval(secs => ${SILENT_SECONDS}) and c.name = 'hetzner:' || a.project)`;

/** Clears all reasons when the worker stops. Other workers record theirs again. */
export async function stopTelling(database: Database): Promise<void> {
  await database
    .updateTable('operations')
    .set({ waits_for: null })
    .where('waits_for', 'is not', null)
    .where(sql<boolean>`run_after <= now()`)
    .execute()
    .catch(() => {});
}
