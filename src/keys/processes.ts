import { sql } from 'kysely';
import type { Role } from '../config/config.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { repeatEvery } from '../processes/repeat.ts';
import { followEpochs, OtherPassphraseError } from './epochs.ts';
import type { Keyring } from './keyring.ts';

const BEAT_SECONDS = 5;
/** A process that was not heard of for so long does not hold a change of the passphrase up. */
export const GONE_SECONDS = 30;
/** Runners of GitHub count as one process, which says what it knows with each claim. */
export const RUNNERS = 'github-actions';

export interface Announced {
  processId: string;
  role: Role | 'runner';
}

/** Says which passphrases a process has, and which of them it seals with. */
export async function announce(
  database: Database,
  { processId, role }: Announced,
  keys: { ids: readonly string[]; sealing: { id: string } },
): Promise<void> {
  const said = { key_ids: [...keys.ids], seals_with: keys.sealing.id };
  await database
    .insertInto('processes')
    .values({ process_id: processId, role, ...said })
    .onConflict((conflict) =>
      conflict.column('process_id').doUpdateSet({ ...said, role, seen_at: sql`now()` }),
    )
    .execute();
}

/**
 * Announces this process regularly, and follows a change of the passphrase. `onOther` is called once if the
 * installation's passphrase is one that this process does not have: it can open nothing any more.
 */
export function startAnnouncing(
  deps: { database: Database; log: Log; keyring: Keyring; own: Announced; onOther: (error: Error) => void },
  beatSeconds = BEAT_SECONDS,
): { stop(): Promise<void> } {
  const { database, log, keyring, own } = deps;
  const beat = async () => {
    try {
      await followEpochs(database, keyring);
      await announce(database, own, keyring);
      await database
        .deleteFrom('processes')
        .where('role', '<>', 'runner')
        .where(sql<boolean>`seen_at < now() - interval '1 day'`)
        .execute();
    } catch (error) {
      log.warn(
        { event: 'keys.announce_failed', error: errorMessage(error) },
        'could not tell the others which passphrase this process has',
      );
      if (error instanceof OtherPassphraseError) deps.onOther(error);
    }
  };
  const repeating = repeatEvery(beatSeconds, beat);
  return {
    stop: async () => {
      await repeating.stop();
      const gone = database.deleteFrom('processes').where('process_id', '=', own.processId);
      await gone.execute().catch(() => {});
    },
  };
}
