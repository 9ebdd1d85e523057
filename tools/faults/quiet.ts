import type pg from 'pg';
import type { Clouds } from './clouds.ts';
import type { Installation } from './installation.ts';
import type { ServiceClient } from './service-client.ts';
import { withClient } from './snapshot.ts';
import { until } from './until.ts';

/**
 * An operation that waits longer than this is at rest: a delete that failed three times is retried ten
 * minutes later. So is the adoption of an agent whose server was deleted by hand, for as long as it is.
 */
const RESTING_SECONDS = 330;

/**
 * Ends faults and stopped processes, ensures that `workers` workers run, and waits until every event is
 * delivered and nothing is in progress or due soon.
 */
export async function becomeQuiet(
  { installation, client, clouds }: { installation: Installation; client: ServiceClient; clouds: Clouds },
  options: { workers: number; timeoutSeconds: number; restingSeconds?: number },
): Promise<void> {
  for (const worker of installation.workers) if (worker.isStopped) worker.resume();
  if (!installation.host.isAlive) await installation.restartHost();
  while (installation.workers.length < options.workers) await installation.startWorker();
  await until('the faults are cleared', 60, () => clouds.clearFaults().then(() => true));
  await until('every event is delivered', 90, async () => (await client.redeliver()) === 0, 500);
  const resting = options.restingSeconds ?? RESTING_SECONDS;
  await until(
    'nothing is under way',
    options.timeoutSeconds,
    async () => {
      const busy = await withClient(installation.file.databaseUrl, async (database) => {
        const { rows } = await database.query<{ what: string }>(
          `select kind || ' of ' || agent_id || ' is ' || status as what from operations
         where status = 'active' or (status = 'queued' and run_after < now()
           + make_interval(secs => case kind when 'adopt' then least($1::float8, $2::float8) else $1::float8 end))`,
          [resting, RESTING_SECONDS],
        );
        return [...rows, ...(await slotsOnTheirWay(database, resting))];
      });
      if (busy.length > 0) throw new Error(busy.map(({ what }) => what).join(', '));
      return true;
    },
    400,
  );
  // An engine process ends shortly after the last message of its run.
  await until(
    'the last processes are gone',
    30,
    () => installation.children().every((child) => child.workerAlive && child.kind === 'runner'),
    100,
  ).catch(() => {});
}

/** Slots that are being made or removed, that have not answered lately, or that a pool still lacks. */
async function slotsOnTheirWay(database: pg.Client, resting: number): Promise<{ what: string }[]> {
  const { rows } = await database.query<{ what: string }>(
    `select slot_id || ' is ' || status as what from slots
       where (status in ('making', 'removing') and run_after < now() + make_interval(secs => $1))
         or (status = 'ready' and checked_at < now() - interval '12 seconds')
     union all
     select 'a pool has ' || ready || ' of ' || size from (select size, paused_until, (select count(*) from slots s
         where s.status = 'ready' and s.fingerprint = p.fingerprint
           and (s.location, s.plan) = (p.location, p.plan)) as ready from pools p) as pool
       where ready < size and (paused_until is null or paused_until < now())`,
    [resting],
  );
  return rows;
}
