import { setTimeout as sleep } from 'node:timers/promises';
import { firewallName } from '../../stacks/inputs.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage, PermanentError } from '../errors.ts';
import type { HetznerClient } from '../hetzner/hetzner.ts';
import type { Log } from '../log.ts';

const PATIENCE_SECONDS = 5;

/**
 * Hetzner's API does not name the project that a token belongs to. It is told by what is in it: a database
 * that knows of the shared firewall must find it there, or one of the servers. In another project everything
 * would look deleted, and new servers would be nobody's. Servers alone prove nothing: each may have been
 * deleted by hand, or been named by a runner that was mistaken.
 * @throws PermanentError for a token of another project. Where Hetzner gives no answer now, the start goes on
 * with a warning.
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
      'could not tell the Hetzner project at the start',
    );
  }
}

/** The token is of a project in which nothing is that this database knows of. */
export class OtherProjectError extends PermanentError {
  override name = 'OtherProjectError';
}

/**
 * Asks Hetzner at least once, so that a token that it refuses is found out too.
 * @throws OtherProjectError, and what the client throws where Hetzner refuses or does not answer.
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
    'The project of HCLOUD_TOKEN has neither the firewall nor a server that this database knows of: it is another Hetzner project, ' +
      'or they were deleted there by hand. Start with a token of the project in which the agents were made. If it is that one: ' +
      "delete from foundations where project = 'default'.",
  );
}

/** A start waits for a cloud that hangs, but not for long. */
async function noAnswer(): Promise<never> {
  await sleep(PATIENCE_SECONDS * 1000, undefined, { ref: false });
  throw new Error(`no answer within ${PATIENCE_SECONDS} s`);
}

/** Ids of the firewall and of the servers; undefined where no firewall has been made. */
async function readKnown(database: Database): Promise<Set<string> | undefined> {
  const [foundations, agents] = await Promise.all([
    database.selectFrom('foundations').select('firewall_id').where('firewall_id', 'is not', null).execute(),
    database.selectFrom('agents').select('server_id').where('server_id', 'is not', null).execute(),
  ]);
  if (foundations.length === 0) return undefined;
  return new Set([...foundations.map((row) => row.firewall_id!), ...agents.map((row) => row.server_id!)]);
}
