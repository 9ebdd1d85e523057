import type { CanaryConfig } from '../config/canary.ts';
import type { Actor } from '../database/vocabulary.ts';
import { ConflictError, errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { type IsDue, type Repeating, repeatEvery } from '../processes/repeat.ts';
import { advanceCanary, type CanaryDeps } from './advance.ts';
import { startRun } from './runs.ts';

const LOOK_SECONDS = 2;

/**
 * Starts canaries when they are due, and takes the one that runs from act to act. Every worker does this.
 * @param isDue whether one runs; every few minutes in any case, for the schedule
 */
export function startCanaries(
  deps: CanaryDeps & { canary: CanaryConfig; log: Log },
  isDue?: IsDue,
): Repeating {
  const look = async () => {
    try {
      await startDue(deps);
      await advanceCanary(deps);
    } catch (error) {
      const text = 'could not look after the canary';
      deps.log.warn({ event: 'canary.failed', error: errorMessage(error) }, text);
    }
  };
  return repeatEvery(LOOK_SECONDS, look, isDue);
}

/** Of several workers one begins: a second run is refused while the first one runs. */
async function startDue({ database, canary }: CanaryDeps & { canary: CanaryConfig }): Promise<void> {
  const { everyMs, maxEuros, region } = canary;
  if (everyMs === undefined) return;
  const { last } = await database
    .selectFrom('canary_runs')
    .select(({ fn }) => fn.max('started_at').as('last'))
    .executeTakeFirstOrThrow();
  if (last !== null && Date.now() - new Date(last).getTime() < everyMs) return;
  const wanted = { cause: 'schedule', maxEuros, region, actor: 'canary' satisfies Actor } as const;
  const starting = database.transaction().execute((trx) => startRun(trx, wanted));
  await starting.catch((error: unknown) => {
    if (!(error instanceof ConflictError)) throw error;
  });
}
