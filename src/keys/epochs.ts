import type { Database } from '../database/connect.ts';
import type { Keyring } from './keyring.ts';
import { type KeptKeys, openKept } from './keyset.ts';

/** The keys that the audit chain has from a position on. */
export interface Epoch {
  epoch: number;
  keyId: string;
  firstPosition: number;
  keys: KeptKeys;
}

/**
 * Reads the passphrases that this installation has had, the oldest first, as far as they are still needed;
 * none before the first start.
 * @throws UnknownKeyError if this process has not the present one
 */
export async function readEpochs(database: Database, keyring: Keyring): Promise<Epoch[]> {
  const rows = await database.selectFrom('key_epochs').selectAll().orderBy('epoch').execute();
  return rows.map(({ epoch, key_id: keyId, first_position: firstPosition, kept }) => ({
    epoch,
    keyId,
    firstPosition,
    keys: kept === null ? present(keyring, keyId) : openKept(keyring.all, epoch, kept),
  }));
}

function present(keyring: Keyring, keyId: string): KeptKeys {
  const keyset = keyring.find(keyId);
  if (keyset === undefined) throw new OtherPassphraseError(OTHER);
  return keyset;
}

const OTHER = 'This installation has another PULUMI_CONFIG_PASSPHRASE now';

/** The passphrase of this process is not the installation's, or not any more. */
export class OtherPassphraseError extends Error {
  override name = 'OtherPassphraseError';
}

/** Makes a process seal as the database says, and recognize what earlier passphrases have made. */
export async function followEpochs(database: Database, keyring: Keyring): Promise<void> {
  const { key_id: keyId } = await database
    .selectFrom('installation')
    .select('key_id')
    .executeTakeFirstOrThrow();
  if (keyId === null) return;
  if (!keyring.sealWith(keyId)) throw new OtherPassphraseError(OTHER);
  const epochs = await readEpochs(database, keyring);
  keyring.keep(epochs.slice(0, -1).map(({ keys }) => keys));
}
