import { sql } from 'kysely';
import type { FollowDeps } from './deps.ts';
import { replaceFindings } from './findings.ts';

const AFTER_SECONDS = 3_600;

/** Tells a person when subscriptions could not be read for an hour. Their agents stay as they are. */
export async function reportUnreadable(
  { database, clock }: FollowDeps,
  afterSeconds = AFTER_SECONDS,
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const { rows } = await sql<{ count: number; since: Date; error: string }>`
      select count(*) as count, min(error_since) as since,
        (array_agg(last_error order by error_since))[1] as error
      from subscriptions where error_since < now() - make_interval(secs => ${afterSeconds})
      having count(*) > 0`.execute(trx);
    const findings = rows.map(({ count, since, error }) => ({
      class: 'configuration' as const,
      key: 'unreadable',
      cause: `Stripe has not told the state of ${count} subscriptions since ${since.toISOString()}: ${error}`,
      cure: 'Check STRIPE_SECRET_KEY, its permissions and the way to Stripe. Until then no agent is suspended or deleted',
    }));
    await replaceFindings(trx, { source: 'stripe' }, findings, clock.now());
  });
}
