import { z } from 'zod';
import type { Database } from '../../database/connect.ts';
import { ConflictError } from '../../errors.ts';
import type { Keyring, Recognized } from '../../keys/keyring.ts';
import type { Keyset } from '../../keys/keyset.ts';
import { announce, RUNNERS } from '../../keys/processes.ts';
import { openText, type SealingKey, sealText } from '../../keys/sealed-text.ts';
import { Secret } from '../../secret.ts';

/** The ids of a runner's passphrases; a runner of an earlier version does not say. */
export const keyIdsSchema = z
  .array(z.string().regex(/^[0-9a-f]{16}$/))
  .min(1)
  .max(2)
  .optional();

/** Records which passphrases the runners have now: a change of it waits until they have the new one. */
export async function announceRunner(database: Database, ids: readonly string[] | undefined): Promise<void> {
  const [first] = ids ?? [];
  if (ids === undefined || first === undefined) return;
  await announce(database, { processId: RUNNERS, role: 'runner' }, { ids, sealing: { id: first } });
}

/**
 * The key in which service and runner exchange what is sealed. The runner seals with it, and encrypts new
 * stacks.
 * @throws ConflictError if the runner does not have the passphrase that seals now, or the one before while
 * stacks may still be under it
 */
export async function chooseKey(
  database: Database,
  { sealing }: Keyring,
  ids: readonly string[] | undefined,
): Promise<Keyset> {
  const installation = await database.selectFrom('installation').select('former_key_id').executeTakeFirst();
  const needed = [sealing.id, installation?.former_key_id ?? sealing.id];
  if (ids === undefined || needed.every((id) => ids.includes(id))) return sealing;
  throw new ConflictError(
    'The runner has another PULUMI_CONFIG_PASSPHRASE than the service: correct the secret in the repository, and until its change is complete also PULUMI_CONFIG_PASSPHRASE_BEFORE',
  );
}

const ID = 'what runners recognize';
const hex = z.string().regex(/^[0-9a-f]{64}$/);
const recognizedSchema = z.array(z.strictObject({ names: hex, versions: hex })).max(1_000);

/** Seals what a runner has to recognize from former passphrases; null if there were none. */
export function sealRecognized(key: SealingKey, kept: readonly Recognized[]): string | null {
  if (kept.length === 0) return null;
  const texts = kept.map(({ names, versions }) => ({
    names: names.toString('hex'),
    versions: versions.reveal(),
  }));
  return sealText(key, ID, JSON.stringify(texts)).toString('base64');
}

/** @throws Error if the runner has not the key */
export function openRecognized(keyring: Keyring, sealed: string): Recognized[] {
  const texts = recognizedSchema.parse(JSON.parse(openText(keyring.all, ID, Buffer.from(sealed, 'base64'))));
  return texts.map(({ names, versions }) => ({
    names: Buffer.from(names, 'hex'),
    versions: new Secret(versions),
  }));
}
