import type { AgentInputs } from '../../../stacks/inputs.ts';
import type { HetznerClient, HetznerServer } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import { isLabelled, type Owner, ownLabels, presentServer, type ServerLookup } from './own-server.ts';
import { assertHeld } from './recovery.ts';

export type MarksClient = ServerLookup & Pick<HetznerClient, 'setLabels' | 'applyFirewall'>;

/**
 * What an agent's own server should have and has not, e.g. since a console, or a tool of somebody's, has
 * changed it.
 */
export interface MissingMarks {
  /** Labels as they should be: ours, and whatever else is there; undefined where ours are right. */
  labels: Record<string, string> | undefined;
  /** The shared firewall, where the server is not under it. */
  firewallId: number | undefined;
}

/** undefined where nothing is missing. */
export function missingMarks(server: HetznerServer, agent: Owner): MissingMarks | undefined {
  const own = ownLabels(agent);
  const wrong = !isLabelled(server, agent.agent_id) || Object.keys(own).some((key) => !server.labels[key]);
  const { firewallId } = (agent.inputs ?? {}) as Partial<AgentInputs>;
  const isApplied = server.public_net.firewalls.some(({ id }) => id === firewallId);
  const labels = wrong ? { ...server.labels, ...own } : undefined;
  const missing = isApplied ? undefined : firewallId;
  return labels === undefined && missing === undefined ? undefined : { labels, firewallId: missing };
}

/**
 * The agent's server, found by what is recorded, with its labels and its firewall put back.
 * @throws PermanentError where there is none.
 */
export async function findServer(deps: { hetzner: MarksClient }, run: Attempt): Promise<HetznerServer> {
  const server = await presentServer(deps.hetzner, run.agent);
  await restoreMarks(deps, run, server);
  return server;
}

/**
 * Puts back what the agent's own server has lost, and says so. What others have labelled it with stays.
 * @returns what could not be put back, in a sentence for a person.
 */
export async function restoreMarks(
  { hetzner }: { hetzner: MarksClient },
  run: Attempt,
  server: HetznerServer,
): Promise<string | undefined> {
  const missing = missingMarks(server, run.agent);
  if (missing === undefined) return undefined;
  const { labels, firewallId } = missing;
  assertHeld(run);
  if (labels !== undefined) {
    await hetzner.setLabels('servers', String(server.id), labels);
    run.log(`${server.name} (${server.id}) had lost its labels: put back`);
  }
  if (firewallId === undefined) return undefined;
  if (await hetzner.applyFirewall(firewallId, String(server.id), run.signal)) {
    run.log(`${server.name} (${server.id}) was not under the firewall ${firewallId}: put back`);
    return undefined;
  }
  const text = `The firewall ${firewallId} is no longer at Hetzner: ${server.name} is without it`;
  run.log(text);
  return text;
}
