import { setTimeout as sleep } from 'node:timers/promises';
import { firewallName } from '../../stacks/inputs.ts';
import { tokenVariable } from '../config/hetzner-projects.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage, PermanentError } from '../errors.ts';
import type { HetznerClient } from '../hetzner/hetzner.ts';
import type { Log } from '../log.ts';

const PATIENCE_SECONDS = 5;

interface Asked {
  database: Database;
  /** As the installation names it. */
  project: string;
  hetzner: Pick<HetznerClient, 'findFirewall' | 'listServers'>;
}

/**
 * Checks that a token belongs to this installation's project. Hetzner's API does not name a token's project,
 * so it is identified by its content: once the database knows the project's firewall, it must have that
 * firewall or one of its servers. With another project's token, everything would look deleted and
 * new servers would be orphans. Servers alone prove nothing: each may have been deleted by hand, or recorded
 * wrongly by a runner.
 * @throws OtherProjectError. If Hetzner does not answer now, the start continues with a warning.
 */
export async function checkHetznerProject(deps: Asked & { log: Log }): Promise<void> {
  try {
    await Promise.race([assertOurProject(deps), noAnswer()]);
  } catch (error) {
    if (error instanceof OtherProjectError) throw error;
    deps.log.warn(
      { event: 'project.unknown', project: deps.project, error: errorMessage(error) },
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
export async function assertOurProject({ database, project, hetzner }: Asked): Promise<void> {
  const known = await readKnown(database, project);
  const firewall = await hetzner.findFirewall(firewallName(project));
  if (known === undefined || (firewall !== undefined && known.has(String(firewall.id)))) return;
  const servers = await hetzner.listServers();
  if (servers.some(({ id }) => known.has(id))) return;
  throw new OtherProjectError(
    `The project of ${tokenVariable(project)} has neither the firewall nor a server that this database knows: it is another Hetzner project, ` +
      'or they were deleted there by hand. Start with a token of the project in which the agents were created. If it is that one: ' +
      `delete from foundations where project = '${project}'.`,
  );
}

/** Limits how long the start waits for a cloud that hangs. */
async function noAnswer(): Promise<never> {
  await sleep(PATIENCE_SECONDS * 1000, undefined, { ref: false });
  throw new Error(`no answer within ${PATIENCE_SECONDS} s`);
}

/** Returns the ids of the firewall and the servers; undefined if no firewall has been created yet. */
async function readKnown(database: Database, project: string): Promise<Set<string> | undefined> {
  const [foundations, agents] = await Promise.all([
    database
      .selectFrom('foundations')
      .select('firewall_id')
      .where('project', '=', project)
      .where('firewall_id', 'is not', null)
      .execute(),
    database
      .selectFrom('agents')
      .select('server_id')
      .where('project', '=', project)
      .where('server_id', 'is not', null)
      .execute(),
  ]);
  if (foundations.length === 0) return undefined;
  return new Set([...foundations.map((row) => row.firewall_id!), ...agents.map((row) => row.server_id!)]);
}
