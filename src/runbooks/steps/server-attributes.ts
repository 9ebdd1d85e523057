import type { HetznerClient, Server } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import { isLabelled, type Owner, ownLabels, presentServer, type ServerLookup } from './own-server.ts';
import { assertHeld } from './recovery.ts';

export type AttributesClient = ServerLookup & Pick<HetznerClient, 'setServerLabels' | 'applyFirewall'>;

/** Attributes that an agent's server lacks, e.g. because someone changed it in Hetzner's console. */
export interface MissingAttributes {
  /** All labels that it should have, including foreign ones; undefined if ours are complete. */
  labels: Record<string, string> | undefined;
  /** The shared firewall, if it is not applied to the server. */
  firewallId: number | undefined;
}

/** Returns undefined if nothing is missing. */
export function missingAttributes(server: Server, agent: Owner): MissingAttributes | undefined {
  const own = ownLabels(agent);
  const wrong = !isLabelled(server, agent.agent_id) || Object.keys(own).some((key) => !server.labels[key]);
  const firewallId = agent.inputs?.firewallId;
  const labels = wrong ? { ...server.labels, ...own } : undefined;
  const missing =
    firewallId !== undefined && server.firewallIds.includes(firewallId) ? undefined : firewallId;
  return labels === undefined && missing === undefined ? undefined : { labels, firewallId: missing };
}

/**
 * Finds the agent's server and restores its labels and firewall.
 * @throws PermanentError if it does not exist
 */
export async function findServer(deps: { hetzner: AttributesClient }, run: Attempt): Promise<Server> {
  const server = await presentServer(deps.hetzner, run.agent);
  await restoreAttributes(deps, run, server);
  return server;
}

/**
 * Restores missing attributes of the agent's own server and logs them. Foreign labels stay.
 * @returns a message for people if something could not be restored
 */
export async function restoreAttributes(
  { hetzner }: { hetzner: AttributesClient },
  run: Attempt,
  server: Server,
): Promise<string | undefined> {
  const missing = missingAttributes(server, run.agent);
  if (missing === undefined) return undefined;
  const { labels, firewallId } = missing;
  assertHeld(run);
  if (labels !== undefined) {
    await hetzner.setServerLabels(server.id, labels);
    run.log(`${server.name} (${server.id}) had lost its labels: put back`);
  }
  if (firewallId === undefined) return undefined;
  if (await hetzner.applyFirewall(firewallId, server.id, { wait: true, signal: run.signal })) {
    run.log(`${server.name} (${server.id}) was not under the firewall ${firewallId}: put back`);
    return undefined;
  }
  const text = `The firewall ${firewallId} is no longer at Hetzner: ${server.name} is without it`;
  run.log(text);
  return text;
}
