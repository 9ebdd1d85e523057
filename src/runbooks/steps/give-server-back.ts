import type { Adopting } from '../../../stacks/inputs.ts';
import { toLabels } from '../../../stacks/labels.ts';
import type { Evidence } from '../../agents/receipts.ts';
import { errorMessage, PermanentError } from '../../errors.ts';
import type { Server } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { AccessError, type AdmittedServer, UNDONE } from '../../tailnet/admission/admission.ts';
import { atPublicAddress } from './adopting.ts';
import { isAgentDevice } from './device.ts';
import { isOwnKey, ownName } from './own-server.ts';
import { assertHeld, listOwnDevices, removeFromTailnet } from './recovery.ts';

/** So often a server that does not answer is tried again before its own settings are left as they are. */
const TRIES = 3;

/**
 * Undoes an adoption that was not completed, without deleting or restarting the server. Every step looks
 * first, so each attempt does what an earlier one has not. The stack is forgotten rather than destroyed:
 * Pulumi would delete what was imported into it.
 * @returns what was removed, and when each cloud said so
 */
export async function giveServerBack(
  parts: RunbookParts,
  attempt: Attempt,
  adopting: Adopting,
): Promise<Evidence> {
  attempt.step('giving_server_back');
  await undoOnServer(parts, attempt, adopting);
  await unmark(parts, attempt, adopting);
  const sshKeys = await removeKey(parts, attempt);
  const hetzner = new Date().toISOString();
  const devices = await listOwnDevices(parts, attempt.agent);
  await removeFromTailnet(parts, attempt);
  const tailscale = new Date().toISOString();
  await parts.state.forget(attempt.agent.stack_name);
  return {
    removed: [
      ...sshKeys.map(({ id, name }) => ({ cloud: 'hetzner', kind: 'ssh-key', id, name }) as const),
      ...devices.map(({ nodeId: id, name }) => ({ cloud: 'tailscale', kind: 'device', id, name }) as const),
    ],
    attempt: attempt.operation.attempt,
    gone: { hetzner, tailscale },
  };
}

/**
 * The settings on the server itself. One that never let the service in has kept its own; one that does not
 * answer keeps what was configured on it, and its owner is told.
 */
async function undoOnServer(parts: RunbookParts, attempt: Attempt, adopting: Adopting): Promise<void> {
  const { agent, operation } = attempt;
  if (agent.secrets === null) return;
  if (parts.admission === undefined) return attempt.log('A runner changes nothing on the server itself');
  const server = atPublicAddress(adopting, parts.vault.open(agent.agent_id, agent.secrets));
  try {
    await parts.admission.undo(await atItsAddress(parts, attempt, server), attempt.signal);
    attempt.log(UNDONE);
  } catch (error) {
    attempt.signal.throwIfAborted();
    if (error instanceof AccessError && error.isRefused) return;
    // Another machine may have its address by now.
    const isFinal = error instanceof PermanentError || operation.attempt >= TRIES;
    if (!isFinal) throw error;
    attempt.log(
      `What was configured on the server stays, because it could not be reached: ${errorMessage(error)}`,
    );
  }
}

/** Over the tailnet once it has joined: its public way in may be closed by then. */
async function atItsAddress(
  { tailscale }: RunbookParts,
  { agent }: Attempt,
  server: AdmittedServer,
): Promise<AdmittedServer> {
  const devices = await tailscale.listDevices();
  const device = devices.find((one) => isAgentDevice(one) && one.hostname === agent.inputs?.joinName);
  const [address] = device?.addresses ?? [];
  return address === undefined ? server : { ...server, address, isOnTailnet: true };
}

/** Only what carries the adoption's marks is changed: somebody else may have the server by now. */
async function unmark(parts: RunbookParts, attempt: Attempt, adopting: Adopting): Promise<void> {
  const { hetzner } = parts;
  const { agent } = attempt;
  const server = await hetzner.getServer(adopting.serverId);
  if (server === undefined) return;
  const { firewallId } = agent.inputs ?? {};
  if (firewallId !== undefined && server.firewallIds.includes(firewallId)) {
    assertHeld(attempt);
    await hetzner.removeFirewall(firewallId, server.id, attempt.signal);
  }
  const identity = identityBefore(server, { adopting, ownName: ownName(agent), agentId: agent.agent_id });
  if (identity === undefined) return;
  assertHeld(attempt);
  await hetzner.setServerIdentity(server.id, identity);
  attempt.log(`${identity.name} (${server.id}) has its own name and labels again`);
}

/** Labels that its owner has set meanwhile stay. Undefined: it carries no mark. */
export function identityBefore(
  { name, labels }: Pick<Server, 'name' | 'labels'>,
  { adopting, ownName: own, agentId }: { adopting: Adopting; ownName: string; agentId: string },
): { name: string; labels: Record<string, string> } | undefined {
  const isOurs = name === own || labels['agent-id'] === agentId;
  if (!isOurs) return undefined;
  const marks = Object.keys(toLabels({ agentId, operationId: 'any' }));
  const kept = Object.entries(labels).filter(([key]) => !marks.includes(key));
  return { name: name === own ? adopting.before.name : name, labels: Object.fromEntries(kept) };
}

async function removeKey({ hetzner }: RunbookParts, attempt: Attempt) {
  const key = await hetzner.findSshKey(ownName(attempt.agent));
  if (key === undefined || !isOwnKey(key, attempt.agent)) return [];
  assertHeld(attempt);
  await hetzner.deleteSshKey(key.id);
  return [key];
}
