import { setTimeout as sleep } from 'node:timers/promises';
import { firewallName } from '../../stacks/inputs.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage, PermanentError } from '../errors.ts';
import type { HetznerClient } from '../hetzner/hetzner.ts';
import type { Log } from '../log.ts';

const PATIENCE_SECONDS = 5;

/**
 * Checks that HCLOUD_TOKEN belongs to this installation's project. Hetzner's API does not name a token's
 * project, so it is identified by its content: once the database knows the shared firewall, the project must
 * have that firewall or one of the servers. With another project's token, everything would look deleted and
 * new servers would be orphans. Servers alone prove nothing: each may have been deleted by hand, or recorded
 * wrongly by a runner.
 * @throws OtherProjectError. If Hetzner does not answer now, the start continues with a warning.
 */
export async function checkHetznerProject(deps: {
  database: Database;
  hetzner: Pick<HetznerClient, 'findFirewall' | 'listServers'>;
  log: Log;
}): Promise<void> {
  try {
    await Promise.race([assertOurProject(deps), noAnswer()]);
  } catch (error) {
    if (error instanceof OtherProjectError) throw error;
    deps.log.warn(
      { event: 'project.unknown', error: errorMessage(error) },
      'could not check the Hetzner project at the start',
    );
  }
}

/** The token belongs to a project that contains nothing that this database knows. */
export class OtherProjectError extends PermanentError {
  override name = 'OtherProjectError';
}

/**
 * Makes at least one call, so that a rejected token is detected too.
 * @throws OtherProjectError, and the client's errors if Hetzner rejects the token or does not answer.
 */
export async function assertOurProject({
  database,
  hetzner,
}: {
  database: Database;
  hetzner: Pick<HetznerClient, 'findFirewall' | 'listServers'>;
}): Promise<void> {
  const known = await readKnown(database);
  const firewall = await hetzner.findFirewall(firewallName('default'));
  if (known === undefined || (firewall !== undefined && known.has(String(firewall.id)))) return;
  const servers = await hetzner.listServers();
  if (servers.some(({ id }) => known.has(id))) return;
  throw new OtherProjectError(
    'The project of HCLOUD_TOKEN has neither the firewall nor a server that this database knows: it is another Hetzner project, ' +
      'or they were deleted there by hand. Start with a token of the project in which the agents were created. If it is that one: ' +
      "delete from foundations where project = 'default'.",
  );
}

/** Limits how long the start waits for a cloud that hangs. */
async function noAnswer(): Promise<never> {
  await sleep(PATIENCE_SECONDS * 1000, undefined, { ref: false });
  throw new Error(`no answer within ${PATIENCE_SECONDS} s`);
}

/** Returns the ids of the firewall and the servers; undefined if no firewall has been created yet. */
async function readKnown(database: Database): Promise<Set<string> | undefined> {
  const [foundations, agents] = await Promise.all([
    database.selectFrom('foundations').select('firewall_id').where('firewall_id', 'is not', null).execute(),
    database.selectFrom('agents').select('server_id').where('server_id', 'is not', null).execute(),
  ]);
  if (foundations.length === 0) return undefined;
  return new Set([...foundations.map((row) => row.firewall_id!), ...agents.map((row) => row.server_id!)]);
}
