import { setTimeout as sleep } from 'node:timers/promises';
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
 * @returns whether Tailscale has still to say which tailnet this is (`untilTailnetKnown`).
 * @throws Error that says what differs
 */
export async function checkInstallation(
  database: Database,
  config: Config,
  connections: Connections,
): Promise<boolean> {
  const passphrase = createVault(connections.pulumi.passphrase);
  if (config.mode === 'sandbox') {
    await checkStamp(database, { mode: config.mode, accounts: connections.accounts });
    await checkPassphrase(database, passphrase);
    return false;
  }
  const isTailnetSilent = await checkAccounts(database, config, connections);
  await checkPassphrase(database, passphrase);
  if (config.pulumi.backendUrl === undefined) await ensureSibling(connections.databaseUrl.reveal(), 'pulumi');
  return isTailnetSilent;
}

const PAUSE_MS = 2_000;

/**
 * Returns once Tailscale has said that this is the database's tailnet. What works on it begins only then: on
 * another one the sweep would remove what is not ours.
 * @throws Error where it is another one; the signal's reason
 */
export async function untilTailnetKnown(
  database: Database,
  config: Config,
  connections: Connections,
  signal: AbortSignal,
): Promise<void> {
  while (await checkAccounts(database, config, connections)) await sleep(PAUSE_MS, undefined, { signal });
}

/** @returns whether the database's tailnet is known and Tailscale gives no answer now. */
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
 * A tailnet without devices has no name to compare. Where this database's tailnet was told before and agents
 * are on it, this is another one: the controller would take itself for removed, and forget who it is.
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
    `This database was made for another tailscale account: its agents are on ${tailnet}, and on this tailnet there is no device at all. ` +
      'Start it with a credential of that tailnet. If it is that one, and all devices were removed by hand, ' +
      "first: update installation set identities = identities - 'tailscale'.",
  );
}
