import type pg from 'pg';
import type { Clouds } from './clouds.ts';
import type { Installation } from './installation.ts';
import { keptOnTheirWay } from './kept-snapshots.ts';
import type { ServiceClient } from './service-client.ts';
import { withClient } from './snapshot.ts';
import { until } from './until.ts';

/**
 * An operation that waits longer than this is at rest: a delete that failed three times is retried ten
 * minutes later. So is the adoption of an agent whose server was deleted by hand, for as long as it is.
 */
const RESTING_SECONDS = 330;

/** A slot that has not answered for so long is one whose keeper is missing or which is to be removed. */
const SILENT_SECONDS = 12;
/**
 * What is done to a server as quiet is called for shows in checks later than this: it may still shut down.
 */
const SHOWS_AFTER_SECONDS = 3;

/**
 * Ends faults and stopped processes, ensures that `workers` workers run, and waits until every event is
 * delivered and nothing is in progress or due soon.
 * @param options `slotsAnswer`: whether every slot that waits must first have answered once more, because
 *   somebody may have deleted its server a moment ago
 */
export async function becomeQuiet(
  { installation, client, clouds }: { installation: Installation; client: ServiceClient; clouds: Clouds },
  options: { workers: number; timeoutSeconds: number; restingSeconds?: number; slotsAnswer?: boolean },
): Promise<void> {
  for (const worker of installation.workers) if (worker.isStopped) worker.resume();
  if (!installation.host.isAlive) await installation.restartHost();
  while (installation.workers.length < options.workers) await installation.startWorker();
  await until('the faults are cleared', 60, () => clouds.clearFaults().then(() => true));
  await until('every event is delivered', 90, async () => (await client.redeliver()) === 0, 500);
  const checkedSince = await withClient(installation.file.databaseUrl, async (database) => {
    const { rows } = await database.query<{ since: Date }>(
      'select now() + make_interval(secs => $1) as since',
      [options.slotsAnswer === true ? SHOWS_AFTER_SECONDS : -SILENT_SECONDS],
    );
    return rows[0]!.since;
  });
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
        return [
          ...rows,
          ...(await slotsOnTheirWay(database, { resting, checkedSince })),
          ...(await keptOnTheirWay(database, resting)),
        ];
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
async function slotsOnTheirWay(
  database: pg.ClientBase,
  { resting, checkedSince }: { resting: number; checkedSince: Date },
): Promise<{ what: string }[]> {
  const { rows } = await database.query<{ what: string }>(
    `select slot_id || ' is ' || status as what from slots
       where (status in ('making', 'removing') and run_after < now() + make_interval(secs => $1))
         or (status = 'ready' and checked_at < greatest($2::timestamptz, now() - make_interval(secs => ${SILENT_SECONDS})))
     union all
     select 'a pool has ' || ready || ' of ' || size from (select size, error, paused_until, (select count(*) from slots s
         where s.status = 'ready' and s.fingerprint = p.fingerprint
           and (s.location, s.plan) = (p.location, p.plan)) as ready from pools p) as pool
       where ready < size and (error is null or paused_until < now())`,
    [resting, checkedSince],
  );
  return rows;
}
