import { replaceFindings } from '../billing/follow/findings.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Clock } from '../processes/clock.ts';
import { type Repeating, repeatEvery } from '../processes/repeat.ts';
import type { StateStore } from '../pulumi/state-store.ts';

export interface UnmovedDeps {
  database: Database;
  state: Pick<StateStore, 'listSecretsProviders'>;
  /** What is to encrypt the secrets in the stacks' state. */
  secretsProvider: string;
  clock: Clock;
  log: Log;
}

/** Reading it decodes every stack's state. */
const LOOK_SECONDS = 3600;
/** More names would say no more. */
const MOST_NAMED = 50;

/**
 * Regularly reports the stacks that the configured secrets provider does not encrypt yet, at first at once.
 */
export function startReportingUnmoved(deps: UnmovedDeps, lookSeconds = LOOK_SECONDS): Repeating {
  const look = async () => {
    try {
      await reportUnmoved(deps);
    } catch (error) {
      const text = 'could not find out what encrypts the stacks';
      deps.log.warn({ event: 'secrets.check_failed', error: errorMessage(error) }, text);
    }
  };
  const first = look();
  const repeating = repeatEvery(lookSeconds, look);
  return {
    stop: async () => {
      await first;
      await repeating.stop();
    },
  };
}

/**
 * Lists the stacks that have not moved among what needs a person: one that cannot be moved may have no
 * operation for months. The entry goes once all have moved.
 * @returns the names of the stacks that have not moved
 */
export async function reportUnmoved({
  database,
  state,
  secretsProvider,
  clock,
}: Omit<UnmovedDeps, 'log'>): Promise<string[]> {
  const providers = await state.listSecretsProviders();
  const unmoved = [...providers].filter(([, provider]) => provider !== secretsProvider).sort();
  const hibernated = await findHibernated(database);
  const named = unmoved.slice(0, MOST_NAMED).map(([name, provider]) => {
    const by = `by ${describeProvider(provider)}`;
    return hibernated.has(name) ? `${name} (${by}; hibernated)` : `${name} (${by})`;
  });
  const more = unmoved.length > named.length ? `, and ${unmoved.length - named.length} more` : '';
  const finding = {
    class: 'configuration',
    key: 'unmoved stacks',
    cause: `Stacks whose secrets are not encrypted by ${describeProvider(secretsProvider)} yet: ${unmoved.length}. ${named.join(', ')}${more}`,
    cure: 'Workers move them in the background; with EXECUTOR=github-actions each moves at its next operation (npm run agents -- refresh AGENT), a hibernated one when it wakes, a foundation with the next refresh or provision in its project. What fails to move says why in its operation’s log. Until then the former provider must stay usable',
  } as const;
  await database
    .transaction()
    .execute((trx) =>
      replaceFindings(trx, { source: 'secrets' }, unmoved.length > 0 ? [finding] : [], clock.now()),
    );
  return unmoved.map(([name]) => name);
}

/** Without its query, which is about how the key is reached. */
const describeProvider = (url: string) => url.split('?')[0]!;

async function findHibernated(database: Database): Promise<Set<string>> {
  const rows = await database
    .selectFrom('agents')
    .select('stack_name')
    .where('status', '=', 'hibernated')
    .execute();
  return new Set(rows.map((row) => row.stack_name));
}
