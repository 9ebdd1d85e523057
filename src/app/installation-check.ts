import { ensureSibling } from '../../sandbox/host/databases.ts';
import { checkPassphrase } from '../agents/canary.ts';
import { createVault } from '../agents/secrets.ts';
import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import { checkStamp } from '../database/stamp.ts';
import { askIdentities } from './live-identities.ts';

/**
 * Before anything is done with a database: it is this installation's, of this mode, with these accounts and
 * this passphrase. Only then is Pulumi's database made beside it, unless that is somewhere of the operator's
 * choice.
 * @throws Error that says what differs
 */
export async function checkInstallation(
  database: Database,
  config: Config,
  connections: Connections,
): Promise<void> {
  const stamp = { mode: config.mode, accounts: connections.accounts };
  const passphrase = createVault(connections.pulumi.passphrase);
  if (config.mode === 'sandbox') {
    await checkStamp(database, stamp);
    return checkPassphrase(database, passphrase);
  }
  const { identities, isTailnetEmpty } = await askIdentities(config, connections);
  if (isTailnetEmpty) await refuseEmptyTailnet(database);
  await checkStamp(database, { ...stamp, identities });
  await checkPassphrase(database, passphrase);
  if (config.pulumi.backendUrl === undefined) await ensureSibling(connections.databaseUrl.reveal(), 'pulumi');
}

/**
 * A tailnet without devices has no name to compare. Where this database's tailnet was told before and agents
 * are on it, this is another one: the controller would take itself for removed, and forget who it is.
 */
async function refuseEmptyTailnet(database: Database): Promise<void> {
  const stamped = await database.selectFrom('installation').select('identities').executeTakeFirst();
  const tailnet = stamped?.identities.tailscale;
  if (tailnet === undefined) return;
  const agent = await database
    .selectFrom('agents')
    .select('agent_id')
    .where('tailnet_ip', 'is not', null)
    .limit(1)
    .executeTakeFirst();
  if (agent === undefined) return;
  throw new Error(
    `This database was made for another tailscale account: its agents are on ${tailnet}, and on this tailnet there is no device at all. ` +
      'Start it with a credential of that tailnet. If it is that one, and all devices were removed by hand, ' +
      "first: update installation set identities = identities - 'tailscale'.",
  );
}
