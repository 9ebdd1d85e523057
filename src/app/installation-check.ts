import { setTimeout as sleep } from 'node:timers/promises';
import { ensureSibling } from '../../sandbox/host/databases.ts';
import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { checkSecretsProvider } from '../database/secrets-provider.ts';
import { checkStamp } from '../database/stamp.ts';
import { checkKeys } from '../keys/check-keys.ts';
import { refuseLostProjects } from '../projects/projects.ts';
import { askIdentities } from '../reconcile/live-identities.ts';

/**
 * Checks, before anything uses the database, that it belongs to this installation: its mode, its accounts and
 * its passphrase. Then creates Pulumi's database next to it, unless the operator has configured another one.
 * @param announce tells the other processes of this one, in the transaction that checks its passphrase
 * @returns whether Tailscale has not confirmed the tailnet yet (see `untilTailnetKnown`)
 * @throws Error that says what differs
 */
export async function checkInstallation(
  database: Database,
  config: Config,
  connections: Connections,
  announce?: (trx: Transaction) => Promise<void>,
): Promise<boolean> {
  const { keyring } = connections.pulumi;
  if (config.mode === 'sandbox') {
    await checkStamp(database, { mode: config.mode, accounts: connections.accounts });
    await checkKeys(database, keyring, announce);
    await checkSecretsProvider(database, connections.pulumi.secrets);
    return false;
  }
  const isTailnetSilent = await checkAccounts(database, config, connections);
  await refuseLostProjects(database, connections.hcloud.projects);
  await checkKeys(database, keyring, announce);
  await checkSecretsProvider(database, connections.pulumi.secrets);
  if (config.pulumi.backendUrl === undefined) await ensureSibling(connections.databaseUrl.reveal(), 'pulumi');
  return isTailnetSilent;
}

const PAUSE_MS = 2_000;

/**
 * Waits until Tailscale has confirmed that this is the database's tailnet. Nothing may work on the tailnet
 * before that: on another one the sweep would remove devices that are not ours.
 * @throws Error if it is another tailnet; the signal's reason
 */
export async function untilTailnetKnown(
  database: Database,
  config: Config,
  connections: Connections,
  signal: AbortSignal,
): Promise<void> {
  while (await checkAccounts(database, config, connections)) await sleep(PAUSE_MS, undefined, { signal });
}

/** @returns whether the database's tailnet is recorded but Tailscale does not answer now */
async function checkAccounts(database: Database, config: Config, connections: Connections): Promise<boolean> {
  const { identities, unknown, isTailnetSilent, isTailnetEmpty } = await askIdentities(config, connections);
  if (isTailnetEmpty) await refuseEmptyTailnet(database);
  await checkStamp(database, { mode: config.mode, accounts: connections.accounts, identities, unknown });
  return isTailnetSilent && (await stampedTailnet(database)) !== undefined;
}

async function stampedTailnet(database: Database): Promise<string | undefined> {
  const stamped = await database.selectFrom('installation').select('identities').executeTakeFirst();
  return stamped?.identities.tailscale;
}

/**
 * Rejects an empty tailnet if the database has recorded one with agents on it. A tailnet without devices has
 * no name to compare, but it cannot be the recorded one. The controller would believe that its own device was
 * removed and discard its identity.
 */
async function refuseEmptyTailnet(database: Database): Promise<void> {
  const tailnet = await stampedTailnet(database);
  if (tailnet === undefined) return;
  const agent = await database
    .selectFrom('agents')
    .select('agent_id')
    .where('tailnet_ip', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  if (agent === undefined) return;
  throw new Error(
    `This database was created for another tailscale account: its agents are on ${tailnet}, but this tailnet has no devices. ` +
      'Start it with a credential for that tailnet. If this is that tailnet and all devices were removed by hand, ' +
      "first run: update installation set identities = identities - 'tailscale'.",
  );
}
