import { PermanentError, RetryableError } from '../../errors.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import type { Adoption } from './adopting.ts';
import { isOwnKey, ownLabels, ownName } from './own-server.ts';
import { assertHeld } from './recovery.ts';
import { whyAttached, whyUnfit } from './unfit-server.ts';

/**
 * Gives the server what every agent's has: an SSH key of its name at Hetzner, the agent's labels and name,
 * and the shared firewall. All of it is undone by `giveServerBack`, which runs after a kill too, because the
 * row that says whose the server is was there before.
 * @throws PermanentError if it is gone, or has become somebody else's since it was looked at
 */
export async function markServer(
  parts: RunbookParts,
  { attempt, adopting, inputs }: Adoption,
): Promise<void> {
  const { hetzner } = parts;
  const { agent } = attempt;
  const name = ownName(agent);
  const server = await hetzner.describeServer(adopting.serverId);
  if (server === undefined || server.id !== adopting.serverId)
    throw new PermanentError(`Server ${adopting.serverId} is no longer at Hetzner`);
  const labels = ownLabels(agent);
  const isMarked =
    server.name === name && Object.entries(labels).every(([key, value]) => server.labels[key] === value);
  const unfit = isMarked ? whyAttached(server) : whyUnfit(server, { ignoringFirewall: inputs.firewallId });
  if (unfit.length > 0) throw new PermanentError(`It cannot be adopted any more: ${unfit.join('; ')}`);
  const key = await hetzner.findSshKey(name);
  if (key !== undefined && !isOwnKey(key, agent))
    throw new PermanentError(`The SSH key ${name} at Hetzner is not this agent's`);
  assertHeld(attempt);
  if (key === undefined) await hetzner.createSshKey({ name, publicKey: inputs.sshPublicKey, labels });
  assertHeld(attempt);
  if (!isMarked) {
    await hetzner.setServerIdentity(server.id, { name, labels: { ...server.labels, ...labels } });
    attempt.log(`${server.name} (${server.id}) has the agent's labels, and is ${name} from now on`);
  }
  assertHeld(attempt);
  const waiting = { wait: true, signal: attempt.signal } as const;
  if (server.firewallIds.includes(inputs.firewallId)) return;
  if (!(await hetzner.applyFirewall(inputs.firewallId, server.id, waiting)))
    throw new RetryableError(`The firewall ${inputs.firewallId} is no longer at Hetzner`);
}
