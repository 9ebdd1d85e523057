import type { Database } from './connect.ts';
import { jsonText } from './storable.ts';

export interface Stamp {
  mode: 'sandbox' | 'live';
  /** Which accounts this installation works with, as non-secret fingerprints by name, e.g. `{hcloud: 'sha256:…'}`. */
  accounts: Record<string, string>;
}

/**
 * Stamps an empty database with its mode and accounts; later starts must bring the same.
 * An account that is new (a provider not configured before) is added; one that differs is refused.
 * @throws Error that says which of them differs, and what to do.
 */
export async function checkStamp(database: Database, stamp: Stamp): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await trx
      .insertInto('installation')
      .values({ mode: stamp.mode, accounts: jsonText(stamp.accounts) })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const found = await trx.selectFrom('installation').selectAll().forUpdate().executeTakeFirstOrThrow();
    if (found.mode !== stamp.mode) {
      throw new Error(
        `This database belongs to ${found.mode} mode and MODE is ${stamp.mode}. Use another DATABASE_URL or DATA_DIR, or MODE=${found.mode}.`,
      );
    }
    const differing = Object.keys(stamp.accounts).filter(
      (name) => found.accounts[name] !== undefined && found.accounts[name] !== stamp.accounts[name],
    );
    if (differing.length > 0) {
      throw new Error(
        `This database was made for another ${differing.join(' and ')} account. ` +
          'Its agents live there: start it with the credentials of that account, or use another database.',
      );
    }
    const accounts = jsonText({ ...found.accounts, ...stamp.accounts });
    await trx.updateTable('installation').set({ accounts }).execute();
  });
}
