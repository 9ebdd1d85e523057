import type { Database } from '../database/connect.ts';
import type { Vault } from './secrets.ts';

/** An agent's id has no spaces, so this is never one. */
const CANARY_ID = 'the canary';
const CANARY_TEXT = 'The passphrase is the right one.';
/** How many agents' keys are tried where there is no canary yet. */
const TRIED_AGENTS = 20;

/**
 * Checks that the passphrase is the one that sealed this database's secrets: it must open a canary that the
 * first start sealed. Where an older version has left no canary, it must open one of the agents' keys.
 * @throws Error that says what to do.
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
        'PULUMI_CONFIG_PASSPHRASE is not the one that the secrets in this database are sealed under. ' +
          'Nothing was changed. Start with the passphrase of before; for another one, use another database.',
      );
    }
    if (canary === null)
      await trx
        .updateTable('installation')
        .set({ canary: vault.sealText(CANARY_ID, CANARY_TEXT) })
        .execute();
  });
}

function opensCanary(vault: Vault, canary: Buffer): boolean {
  try {
    return vault.openText(CANARY_ID, canary) === CANARY_TEXT;
  } catch {
    return false;
  }
}

/**
 * One success is enough: an older version did not check, so some keys may be sealed under a wrong passphrase.
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
