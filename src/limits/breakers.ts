import { type Selectable, sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import type { BreakerTable } from '../database/limit-tables.ts';
import { BREAKERS, type BreakerName, type OperationKind } from '../database/vocabulary.ts';

export { BREAKERS, type BreakerName } from '../database/vocabulary.ts';

export type BreakerRow = Selectable<BreakerTable>;

/** A breaker that counts changes within a period. */
export type RateName = Exclude<BreakerName, 'spend'>;

interface Rate {
  kinds: readonly OperationKind[];
  periodHours: number;
  /** The period as in "5 within an hour". */
  within: string;
  /** What its changes do, as in "The service may create 60 agents an hour". */
  verb: string;
}

/** A wake creates a server too. A hibernation switches off, as a suspension does. */
export const RATES: Record<RateName, Rate> = {
  creates: { kinds: ['provision', 'wake'], periodHours: 1, within: 'an hour', verb: 'creates' },
  destroys: { kinds: ['destroy'], periodHours: 1, within: 'an hour', verb: 'destroys' },
  suspensions: {
    kinds: ['suspend', 'hibernate'],
    periodHours: 24,
    within: 'a day',
    verb: 'suspends or hibernates',
  },
};

/** The kinds that can make the servers cost more. */
const SPENDING: readonly OperationKind[] = ['provision', 'wake', 'resize'];

/** The breakers that a change of this kind has to pass, in the order of their locks. */
export function breakersFor(kind: OperationKind): BreakerName[] {
  return BREAKERS.filter((name) => (name === 'spend' ? SPENDING : RATES[name].kinds).includes(kind));
}

/** Of the advisory locks of this room. */
export const LOCK_CLASS = 18_015;
/** Orders that decide quickly share it (quick-order.ts). */
export const CREATES_LOCK = 1;

/**
 * Locks these breakers until the transaction ends, so that concurrent changes are counted one after the
 * other. A caller that also needs an agent's lock takes that first. Where costs have a limit, or their
 * breaker is tripped, counting or approving them waits for the orders that decide quickly, which are not
 * visible yet.
 */
export async function lockBreakers(trx: Transaction, names: readonly BreakerName[]): Promise<BreakerRow[]> {
  const lock = sql`select pg_advisory_xact_lock(${LOCK_CLASS}::int, ${CREATES_LOCK}::int)`;
  if (names.includes('creates')) await lock.execute(trx);
  else if (names.includes('spend'))
    await sql`${lock} from breakers where name = 'spend'
      and (limit_euros is not null or tripped_at is not null)`.execute(trx);
  return trx
    .selectFrom('breakers')
    .selectAll()
    .where('name', 'in', names.length > 0 ? names : [sql<BreakerName>`null`])
    .orderBy('name')
    .forNoKeyUpdate()
    .execute();
}
