import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { signWithNext } from '../audit/seal.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import { sealCanary } from '../keys/check-keys.ts';
import type { Keyring } from '../keys/keyring.ts';
import { type Keyset, openKept, sealKept } from '../keys/keyset.ts';
import { listWithout } from './live-processes.ts';

/** `waits`: for processes that do not have the new passphrase yet. `none`: this process has no new one. */
export type Switched = { result: 'switched' | 'none' } | { result: 'waits'; for: string[] };

/**
 * Makes this process's passphrase the installation's, in one transaction: from now on everything is sealed
 * with it, a start without it is refused, and the end of the audit chain is signed with its key. Values
 * sealed before are re-sealed afterwards. Nothing happens until every process has it.
 */
export async function switchKey(database: Database, keyring: Keyring): Promise<Switched> {
  return database.transaction().execute(async (trx) => {
    const { current, former } = keyring;
    const installation = await trx
      .selectFrom('installation')
      .select(['key_id', 'former_key_id', 'executor'])
      .forUpdate()
      .executeTakeFirstOrThrow();
    if (former === undefined || installation.key_id !== former.id) return { result: 'none' };
    const missing = await listWithout(trx, { keyId: current.id, executor: installation.executor });
    if (missing.length > 0) return { result: 'waits', for: missing };
    await beginEpoch(trx, keyring, { current, former });
    await trx
      .updateTable('installation')
      .set({
        key_id: current.id,
        former_key_id: former.id,
        canary: sealCanary(current),
        stacks_left: null,
        rekey_problems: jsonText([]),
      })
      .execute();
    await audit(trx, {
      actor: 'service',
      action: 'passphrase.changing',
      details: { from: former.id, to: current.id },
    });
    return { result: 'switched' };
  });
}

/** What the former passphrases are still needed for is kept, sealed with the new one. */
async function beginEpoch(
  trx: Transaction,
  keyring: Keyring,
  { current, former }: { current: Keyset; former: Keyset },
): Promise<void> {
  const firstPosition = await signWithNext(trx, { from: former.audit, to: current.audit });
  const epochs = await trx.selectFrom('key_epochs').selectAll().orderBy('epoch').execute();
  for (const { epoch, kept } of epochs) {
    const keys = kept === null ? former : openKept(keyring.all, epoch, kept);
    await trx
      .updateTable('key_epochs')
      .set({ kept: sealKept(current, epoch, keys) })
      .where('epoch', '=', epoch)
      .execute();
  }
  await trx
    .insertInto('key_epochs')
    .values({
      epoch: epochs.length + 1,
      key_id: current.id,
      first_position: firstPosition,
      since: sql<Date>`clock_timestamp()`,
    })
    .execute();
}
