import { agentName, toServerName } from '../../../stacks/inputs.ts';
import type { AgentProgram } from '../../../stacks/program.ts';
import type { AgentOutputs } from '../../agents/outputs.ts';
import { PermanentError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import { StackDiffersError } from '../../pulumi/errors.ts';
import { toSeed } from '../../pulumi/seed.ts';
import type { SeedResource } from '../../pulumi/state-store.ts';
import { recorded, toProgram } from './agent-program.ts';
import { agentOutputs } from './outputs.ts';
import { findResources } from './own-server.ts';
import { clearPending, withLockRecovery } from './recovery.ts';

/**
 * Makes the agent's stack from what exists: a state that begins with what no cloud can be asked for, into
 * which the engine imports its server and its SSH key. A state that is there already stays if it says the
 * same; one that differs, e.g. from an old backup, is made again: everything in it can be imported.
 * `owner`: the slot that the agent runs on, whose stack it is until it is adopted.
 * @returns the stack's outputs; undefined while the agent is hibernated
 * @throws PermanentError if the server is gone, or if even then something would be changed
 */
export async function importStack(
  parts: RunbookParts,
  attempt: Attempt,
  { owner = attempt.agent.agent_id }: { owner?: string } = {},
): Promise<AgentOutputs | undefined> {
  attempt.step('importing');
  const program = await toImported(parts, attempt, owner);
  const stackName = agentName(owner);
  const key = await findKeyId(parts, program);
  const seed = toSeed(program, { tailnetKeyId: key, serverId: program.found?.serverId });
  // Clears the lock and what a killed attempt had begun to import.
  if (attempt.operation.attempt > 1) await clearPending(parts.executor, attempt, stackName).catch(() => {});
  const run = () =>
    withLockRecovery(parts.executor, attempt, stackName, () =>
      parts.executor.importStack(attempt, program, seed),
    );
  const result = await run().catch(async (error: unknown) => {
    if (!(error instanceof StackDiffersError)) throw error;
    attempt.log(`The state of ${stackName} is not what exists: making it again`);
    await parts.state.forget(stackName);
    return run();
  });
  if (program.inputs.hibernated !== undefined) return undefined;
  const { tailnet_node_id: tailnetNodeId } = attempt.agent;
  return { ...agentOutputs(result.outputs), tailnetNodeId };
}

async function toImported(
  parts: RunbookParts,
  attempt: Attempt,
  owner: string,
): Promise<AgentProgram & { found: NonNullable<AgentProgram['found']> }> {
  const { agent } = attempt;
  const { known, keys } = recorded(parts.vault, attempt);
  // Agents' stacks copy the foundation's secrets provider, so its state comes first.
  const firewallId = await parts.ensureFoundation(attempt, agent.project);
  const own = { ...known, firewallId };
  const inputs = { ...own, agentId: owner };
  if (firewallId !== known.firewallId)
    await parts.recordInputs(attempt, { inputs: own, secrets: parts.vault.seal(agent.agent_id, keys) });
  const found = await findResources(parts.hetzner, agent);
  const { tailnet_ip: tailnetIp, tailnet_name: tailnetName } = agent;
  if (found.sshKeyId === undefined) throw new PermanentError('Its SSH key is no longer at Hetzner');
  if (inputs.hibernated !== undefined) {
    const kept = { sshKeyId: found.sshKeyId };
    return { ...toProgram(inputs, keys, kept), found: kept };
  }
  if (found.serverId === undefined) throw new PermanentError('Its server is no longer at Hetzner');
  const device = { tailnetIp: tailnetIp ?? '', tailnetName: tailnetName ?? '' };
  return { ...toProgram(inputs, keys, found), found, device };
}

/**
 * What the stack of a server begins with that is still on its way, and whose state is lost: the key that it
 * joins with. Without it another one would be made, which nobody uses.
 */
export async function seedOfKey(parts: RunbookParts, program: AgentProgram): Promise<SeedResource[]> {
  return toSeed(program, { tailnetKeyId: await findKeyId(parts, program), serverId: undefined });
}

/**
 * Tailscale forgets keys that were used up. What stands for such a one has the form of its ids, so that it is
 * asked for and deleted like any key that is gone.
 */
async function findKeyId({ tailscale }: RunbookParts, { inputs }: AgentProgram): Promise<string> {
  const description = `${toServerName(inputs)} ${inputs.keyGeneration}`;
  const keys = await tailscale.listKeys();
  return keys.find((one) => one.description === description)?.id ?? `kForgotten${inputs.keyGeneration}CNTRL`;
}
