import type { Database } from '../database/connect.ts';
import type { Vault } from './secrets.ts';

/** Cannot clash with an agent's id, which has no spaces. */
const CANARY_ID = 'the canary';
const CANARY_TEXT = 'The passphrase is the right one.';
/** How many agents' keys to try if there is no canary yet. */
const TRIED_AGENTS = 20;

/**
 * Checks that this passphrase sealed the database's secrets. It must open the canary, which the first start
 * sealed. If an older version left no canary, it must open one of the agents' keys.
 * @throws Error that says what to do
 */
export async function checkPassphrase(database: Database, vault: Vault): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const { canary } = await trx
      .selectFrom('installation')
      .select('canary')
      .forUpdate()
      .executeTakeFirstOrThrow();
    const fits = canary === null ? await opensAnAgent(trx, vault) : opensCanary(vault, canary);
    if (!fits) {
      throw new Error(
        'The secrets in this database are sealed with another PULUMI_CONFIG_PASSPHRASE. Nothing was changed. ' +
          'Start with the previous passphrase, or use another database for a new one.',
      );
    }
    if (canary === null)
      await trx
        .updateTable('installation')
        .set({ canary: vault.sealText(CANARY_ID, CANARY_TEXT) })
        .execute();
  });
}

/** Whether the passphrase is that of the installation whose canary this is. */
export function opensCanary(vault: Vault, canary: Buffer): boolean {
  try {
    return vault.openText(CANARY_ID, canary) === CANARY_TEXT;
  } catch {
    return false;
  }
}

/**
 * Opening one agent's keys is enough. An older version did not check the passphrase, so some keys may be
 * sealed with a wrong one.
 */
async function opensAnAgent(database: Database, vault: Vault): Promise<boolean> {
  const agents = await database
    .selectFrom('agents')
    .select(['agent_id', 'secrets'])
    .where('secrets', 'is not', null)
    .orderBy('created_at', 'desc')
    .limit(TRIED_AGENTS)
    .execute();
  return (
    agents.length === 0 ||
    agents.some(({ agent_id: id, secrets }) => vault.canOpen(id, secrets ?? Buffer.of()))
  );
}
