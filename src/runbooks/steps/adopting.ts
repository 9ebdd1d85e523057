import type { Adopting, AgentInputs } from '../../../stacks/inputs.ts';
import { serverFor } from '../../agents/plans.ts';
import { generateAgentKeys } from '../../agents/secrets.ts';
import { PermanentError } from '../../errors.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { RunbookParts } from '../../operations/runbook-parts.ts';
import type { AdmittedServer } from '../../tailnet/admission/admission.ts';
import type { Prepared } from './prepared.ts';
import { record } from './prepared.ts';

/** What an adoption works on: the attempt with the server, which the agent's own row does not name yet. */
export interface Adoption extends Prepared {
  attempt: Attempt;
  adopting: Adopting;
  /** Whether its owner cannot have been told yet which key is to be let in. */
  isKeyNew: boolean;
}

/**
 * Records keys and inputs before anything is changed. Without `configuredBy`: what an earlier attempt has
 * configured is not known to be complete.
 * @throws PermanentError if nothing is to be adopted
 */
export async function prepareAdoption(parts: RunbookParts, attempt: Attempt): Promise<Adoption> {
  const { agent, operation } = attempt;
  const { adopting: known, configuredBy: _, ...recorded } = agent.inputs ?? {};
  const { agent_id: agentId } = agent;
  if (known === undefined || recorded.serverName === undefined)
    throw new PermanentError(`Agent ${agentId} has no server to adopt`);
  const adopting = toBegun(known, agent.secrets !== null);
  const keys = agent.secrets === null ? generateAgentKeys(agentId) : parts.vault.open(agentId, agent.secrets);
  const { sshPublicKey, hostPublicKey } = keys;
  const firewallId = await parts.ensureFoundation(attempt, agent.project);
  const keyGeneration = recorded.keyGeneration ?? 1;
  const inputs: AgentInputs = {
    ...serverFor(agent.plan, agent.location),
    ...recorded,
    ...{ agentId, operationId: operation.operation_id, project: agent.project, location: agent.location },
    ...{ firewallId, sshPublicKey, hostPublicKey, keyGeneration, adopting },
    joinName: recorded.joinName ?? parts.vault.joinName(agentId, keyGeneration),
    ...settingsOf(parts),
  };
  await record(parts, attempt, { inputs, keys });
  const secrets = parts.vault.seal(agentId, keys);
  return {
    attempt: { ...attempt, agent: { ...agent, inputs, secrets, server_id: adopting.serverId } },
    adopting,
    isKeyNew: agent.secrets === null || operation.attempt === 1,
    inputs,
    keys,
  };
}

/** With new keys: an earlier attempt's were given back, with what was set on the server. */
function toBegun({ isEntered, since, ...known }: Adopting, hasKeys: boolean): Adopting {
  const kept = hasKeys && isEntered === true ? { isEntered } : {};
  return { ...known, ...kept, since: since ?? new Date().toISOString() };
}

/** What is the same for all agents of this installation. */
function settingsOf({ settings }: RunbookParts) {
  const { healthPort, configurationVersion, joinTimeoutSeconds, pollInterval, loginServer } = settings;
  return {
    ...{ healthPort, configurationVersion, joinTimeoutSeconds },
    ...(pollInterval === undefined ? {} : { pollInterval }),
    ...(loginServer === undefined ? {} : { loginServer }),
  };
}

/** The server by its public address: it shows its own host key, or the agent's once it has been prepared. */
export function atPublicAddress(adopting: Adopting, keys: Prepared['keys']): AdmittedServer {
  return {
    serverId: adopting.serverId,
    address: adopting.ipv4,
    isOnTailnet: false,
    sshPrivateKey: keys.sshPrivateKey,
    hostPublicKeys: [adopting.hostPublicKey, keys.nextHostPublicKey],
  };
}
