import type { Database } from '../database/connect.ts';
import type { Vault } from './secrets.ts';

/** No agent's id has a space, so this seals for none. */
const CANARY_ID = 'the canary';
const CANARY_TEXT = 'The passphrase is the right one.';
/** Where there is no canary yet, so many agents' keys are tried. */
const TRIED_AGENTS = 20;

/**
 * Makes sure that the passphrase is the one that this database's secrets were sealed under: it must open a
 * canary that was sealed at the first start. A database from before there was one is judged by the keys of
 * its agents.
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
        'PULUMI_CONFIG_PASSPHRASE is not the one that the secrets in this database are sealed under. Nothing was changed. ' +
          'Start with the passphrase of before; for another one, use another database.',
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
 * One that opens is enough: single keys may have been sealed under a wrong passphrase by a version that did
 * not check.
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
