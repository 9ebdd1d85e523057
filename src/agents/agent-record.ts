import type { AgentInputs } from '../../stacks/agent-inputs.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Secret } from '../secret.ts';
import { type CloudRecord, sealRecord } from './cloud-record.ts';
import type { Hold } from './holds.ts';
import { completeInputs } from './inputs.ts';
import { planSchema } from './new-agent.ts';
import { createRecordSeal } from './record-seal.ts';
import type { AgentKeys, Vault } from './secrets.ts';
import type { AgentRow } from './store.ts';

type AgentRecord = Extract<CloudRecord, { kind: 'agent' }>;

/** Returns what has to survive of an agent that keeps resources. @throws Error if its row is incomplete */
export function toAgentRecord(vault: Vault, agent: AgentRow, holds: readonly Hold[]): AgentRecord {
  const { agent_id: agentId, secrets } = agent;
  if (secrets === null) throw new Error(`Agent ${agentId} has no recorded keys`);
  const inputs = completeInputs(agentId, agent.inputs);
  return {
    ...newAgentRecord(agent, { inputs, keys: vault.open(agentId, secrets) }),
    ...reachedAt(agent),
    ...present({ snapshotId: agent.snapshot_id }),
    ...(agent.protected && { isProtected: true as const }),
    holds: [...holds],
  };
}

/** What is known of an agent whose server is about to be made. */
export function newAgentRecord(agent: AgentRow, made: Made): AgentRecord {
  return {
    kind: 'agent',
    id: agent.agent_id,
    userId: agent.user_id,
    region: agent.region,
    ...present({ subscriptionId: agent.subscription_id }),
    holds: [],
    ...madeBy(agent, made),
  };
}

/**
 * Seals the records of agents that are about to be made. The build of an image has nothing to survive, and a
 * slot that is being made is made again.
 */
export function createSealNew(keys: Secret | Keyring) {
  const seal = createRecordSeal(keys);
  return async (agent: AgentRow, made: Made): Promise<Record<string, string> | undefined> =>
    agent.user_id === '' ? undefined : sealRecord(seal, newAgentRecord(agent, made));
}

/** What a server is made by. */
export interface Made {
  inputs: AgentInputs;
  keys: AgentKeys;
}

/** What the records of agents and of slots have in common. */
export function madeBy(
  { location, plan, created_at }: Pick<AgentRow, 'location' | 'plan' | 'created_at'>,
  made: Made,
) {
  return { location, plan: planSchema.parse(plan), createdAt: created_at.toISOString(), ...made };
}

/** What is known of a server that has been reached. */
export function reachedAt(
  row: Pick<AgentRow, 'server_id' | 'ipv4' | 'ipv6' | 'tailnet_node_id' | 'tailnet_ip' | 'tailnet_name'>,
) {
  return present({
    serverId: row.server_id,
    ipv4: row.ipv4,
    ipv6: row.ipv6,
    nodeId: row.tailnet_node_id,
    tailnetIp: row.tailnet_ip,
    tailnetName: row.tailnet_name,
  });
}

/** Without the fields that are null. */
function present<T extends Record<string, unknown>>(fields: T): { [Name in keyof T]?: NonNullable<T[Name]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as never;
}
