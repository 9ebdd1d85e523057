import { sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';
import { countSealed } from './count-sealed.ts';
import { followEpochs } from './epochs.ts';
import type { Keyring } from './keyring.ts';
import type { Keyset } from './keyset.ts';
import { openText, sealText } from './sealed-text.ts';

/** Cannot clash with an agent's id, which has no spaces. */
const CANARY_ID = 'the canary';
const CANARY_TEXT = 'The passphrase is the right one.';
/** How many agents' keys to try if there is no canary yet. */
const TRIED_AGENTS = 20;

/**
 * Checks that this process has the passphrase that seals the database's secrets: it must open the canary,
 * which the first start sealed. If an older version left no canary, it must open one of the agents' keys.
 * While the passphrase changes, it must have the former one too.
 * @param announce runs in the same transaction, so that no change begins without this process
 * @throws Error that says what to do
 */
export async function checkKeys(
  database: Database,
  keyring: Keyring,
  announce?: (trx: Transaction) => Promise<void>,
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const installation = await trx
      .selectFrom('installation')
      .select(['canary', 'key_id', 'former_key_id', 'stacks_left'])
      .forUpdate()
      .executeTakeFirstOrThrow();
    const { key_id: keyId, former_key_id: formerId, canary } = installation;
    if (keyId === null) await recordFirst(trx, keyring, canary);
    else if (keyring.find(keyId) === undefined) throw new Error(await explainOther(trx, keyring));
    else if (formerId !== null && keyring.find(formerId) === undefined)
      throw new Error(explainMissing(await countSealed(trx, keyId), installation.stacks_left));
    await followEpochs(trx, keyring);
    await announce?.(trx);
  });
}

/** Whether this process has the passphrases that the database's secrets are sealed with. Changes nothing. */
export async function hasKeys(database: Database, keyring: Keyring): Promise<boolean> {
  const installation = await database
    .selectFrom('installation')
    .select(['canary', 'key_id', 'former_key_id'])
    .executeTakeFirst();
  if (installation === undefined) return true;
  const { key_id: keyId, former_key_id: formerId, canary } = installation;
  if (keyId === null) return (await findFitting(database, keyring, canary)) !== undefined;
  return [keyId, formerId].every((id) => id === null || keyring.find(id) !== undefined);
}

/** The canary of a key, for the row of the installation. */
export const sealCanary = (key: Keyset): Buffer => sealText(key, CANARY_ID, CANARY_TEXT);

/** Whether a passphrase of this process is that of the installation whose canary this is. */
export const opensCanary = (keyring: Keyring, canary: Buffer): boolean =>
  keyring.all.some((key) => opens(key, CANARY_ID, canary));

/** Records which of this process's passphrases the database is sealed with. */
async function recordFirst(trx: Transaction, keyring: Keyring, canary: Buffer | null): Promise<void> {
  const fitting = await findFitting(trx, keyring, canary);
  if (fitting === undefined) throw new Error(await explainOther(trx, keyring));
  await trx
    .updateTable('installation')
    .set({ key_id: fitting.id, canary: sealCanary(fitting) })
    .execute();
  await trx.insertInto('key_epochs').values({ epoch: 1, key_id: fitting.id, first_position: 1 }).execute();
}

const findFitting = async (database: Database, keyring: Keyring, canary: Buffer | null) =>
  canary === null
    ? findByAgents(database, keyring)
    : keyring.all.find((key) => opens(key, CANARY_ID, canary));

function opens(key: Keyset, id: string, sealed: Buffer): boolean {
  try {
    return openText([key], id, sealed) !== '';
  } catch {
    return false;
  }
}

/**
 * Opening one agent's keys is enough. An older version did not check the passphrase, so some keys may be
 * sealed with a wrong one. Without any keys, the first start decides.
 */
async function findByAgents(database: Database, keyring: Keyring): Promise<Keyset | undefined> {
  const agents = await database
    .selectFrom('agents')
    .select(['agent_id', 'secrets'])
    .where('secrets', 'is not', null)
    .orderBy('created_at', 'desc')
    .limit(TRIED_AGENTS)
    .execute();
  if (agents.length === 0) return keyring.current;
  return keyring.all.find((key) =>
    agents.some((one) => opens(key, one.agent_id, one.secrets ?? Buffer.of())),
  );
}

async function explainOther(trx: Transaction, keyring: Keyring): Promise<string> {
  const former = await trx
    .selectFrom('key_epochs')
    .select(sql<string>`to_char(max(since) at time zone 'UTC', 'YYYY-MM-DD HH24:MI')`.as('since'))
    .where('epoch', '>', (query) =>
      query
        .selectFrom('key_epochs')
        .select(({ fn }) => fn.min('epoch').as('epoch'))
        .where('key_id', 'in', keyring.ids),
    )
    .executeTakeFirst();
  return former?.since
    ? `PULUMI_CONFIG_PASSPHRASE was changed at ${former.since} UTC, and this process has the former one. Nothing was changed. Start with the new one.`
    : 'The secrets in this database are sealed with another PULUMI_CONFIG_PASSPHRASE. Nothing was changed. ' +
        'Start with the previous passphrase, and to change it, set PULUMI_CONFIG_PASSPHRASE to the new and PULUMI_CONFIG_PASSPHRASE_BEFORE to the previous one; or use another database.';
}

function explainMissing(rows: Record<string, number>, stacks: number | null): string {
  const left = [...Object.entries(rows), ['stacks', stacks ?? 0] as const].filter(([, count]) => count > 0);
  const what = left.map(([name, count]) => `${name}: ${count}`).join(', ');
  return (
    `The passphrase is being changed, and PULUMI_CONFIG_PASSPHRASE_BEFORE is not the former one. ` +
    `${what ? `Still under it are ${what}` : 'That nothing is left under it is not confirmed yet'}. Nothing was changed. ` +
    'Set it to the former passphrase until `npm run agents -- rekey` says that it can be taken out.'
  );
}
