import type { Adopting } from '../../../stacks/inputs.ts';
import { toLabels } from '../../../stacks/labels.ts';
import type { Evidence } from '../../agents/receipts.ts';
import { errorMessage, PermanentError, ShortageError } from '../../errors.ts';
import type { Server } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { AccessError, type AdmittedServer, UNDONE } from '../../tailnet/admission/admission.ts';
import { atPublicAddress } from './adopting.ts';
import { isAgentDevice } from './device.ts';
import { isOwnKey, ownName } from './own-server.ts';
import { assertHeld, listOwnDevices, removeFromTailnet } from './recovery.ts';

/**
 * Undoes an adoption that was not completed, without deleting or restarting the server. Every step looks
 * first, so each attempt does what an earlier one has not. The stack is forgotten rather than destroyed:
 * Pulumi would delete what was imported into it. While the server's own settings are not undone, the agent's
 * keys and its device stay: without them nobody could get in to undo it.
 * @returns what was removed, and when each cloud said so
 * @throws ShortageError if this process cannot undo what is on the server; errors of the clouds and of SSH
 */
export async function giveServerBack(
  parts: RunbookParts,
  attempt: Attempt,
  adopting: Adopting,
): Promise<Evidence> {
  attempt.step('giving_server_back');
  const left = await undoOnServer(parts, attempt, adopting);
  await unmark(parts, attempt, adopting);
  const sshKeys = await removeKey(parts, attempt);
  if (left !== undefined) throw left.cause;
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
 * The settings on the server itself. One that never let the service in has kept its own, and one that is gone
 * has none.
 * @returns why they are not undone yet; undefined: they are, or a person has given that up
 */
async function undoOnServer(
  parts: RunbookParts,
  attempt: Attempt,
  adopting: Adopting,
): Promise<{ cause: unknown } | undefined> {
  const { agent } = attempt;
  if (agent.secrets === null || (await parts.hetzner.getServer(adopting.serverId)) === undefined) return;
  const device = await findJoined(parts, attempt);
  try {
    const server = atPublicAddress(adopting, parts.vault.open(agent.agent_id, agent.secrets));
    await undo(parts, attempt, device === undefined ? server : { ...server, ...device });
    attempt.log(UNDONE);
  } catch (error) {
    attempt.signal.throwIfAborted();
    if (error instanceof AccessError && error.isRefused) return;
    const isUntouched = adopting.isEntered !== true && device === undefined && parts.admission !== undefined;
    if (!isUntouched && adopting.isAbandoned !== true) return { cause: error };
    attempt.log(`What is on the server stays, because it could not be undone: ${errorMessage(error)}`);
  }
}

/** A process that has no way to the server is no sign that the server does not answer: it waits for one. */
async function undo(parts: RunbookParts, { signal }: Attempt, server: AdmittedServer): Promise<void> {
  if (parts.admission === undefined)
    throw new ShortageError(
      'What is on the server is undone by a worker: start one with EXECUTOR=local. A runner cannot do it',
    );
  try {
    await parts.admission.undo(server, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PermanentError || (await parts.slots?.canReach()) !== false) throw error;
    throw new ShortageError(
      `This worker is not on the tailnet, so it could not undo what is on the server: ${errorMessage(error)}`,
      { cause: error },
    );
  }
}

/** Where the server is on the tailnet, once it has joined: its public way in may be closed by then. */
async function findJoined(
  { tailscale }: RunbookParts,
  { agent }: Attempt,
): Promise<Pick<AdmittedServer, 'address' | 'isOnTailnet'> | undefined> {
  const devices = await tailscale.listDevices();
  const device = devices.find((one) => isAgentDevice(one) && one.hostname === agent.inputs?.joinName);
  const [address] = device?.addresses ?? [];
  return address === undefined ? undefined : { address, isOnTailnet: true };
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
