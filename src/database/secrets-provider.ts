import type { SecretsProvider } from '../config/secrets-provider.ts';
import { PASSPHRASE, versionProblem } from '../config/secrets-provider.ts';
import type { Database } from './connect.ts';

/**
 * Checks that the configured secrets provider is the installation's, and records a change. A change away from
 * the passphrase needs no confirmation: the passphrase stays at hand, so stacks that have not moved yet stay
 * readable. Any other change does, since a start with the wrong key would fail one agent after the other. A
 * key of Azure without its version is refused, unless it is recorded already: that one only warns
 * (`liveNotices`).
 * @throws Error that says what to do
 */
export async function checkSecretsProvider(
  database: Database,
  { url, before }: Pick<SecretsProvider, 'url' | 'before'>,
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const { secrets_provider: recorded } = await trx
      .selectFrom('installation')
      .select('secrets_provider')
      .forUpdate()
      .executeTakeFirstOrThrow();
    if (recorded === url) return;
    const problem = versionProblem(url);
    if (problem !== undefined) throw new Error(`${problem.detail}. ${problem.cure} Nothing was changed.`);
    const isEmpty =
      (await trx.selectFrom('agents').select('agent_id').limit(1).executeTakeFirst()) === undefined;
    if (recorded !== PASSPHRASE && recorded !== before && !isEmpty) {
      throw new Error(
        `The stacks of this installation are encrypted by ${recorded}, and PULUMI_SECRETS_PROVIDER is ${url}. Nothing was changed. ` +
          `Set PULUMI_SECRETS_PROVIDER=${recorded}; or, to move the stacks, also set PULUMI_SECRETS_PROVIDER_BEFORE=${recorded}.`,
      );
    }
    await trx.updateTable('installation').set({ secrets_provider: url }).execute();
  });
}
