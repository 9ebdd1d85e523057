import type { AgentInputs } from './agent-inputs.ts';

export type { Adopting, AgentInputs } from './agent-inputs.ts';

export interface AgentSecrets {
  /** The OpenSSH private part of the server's first host key, which the first Ansible run replaces. */
  hostPrivateKey: string;
}

/** Ids of resources that exist in the cloud but not in the state, found by name and labels after a crash. */
export interface FoundResources {
  sshKeyId?: string;
  serverId?: string;
}

/**
 * The agent's recorded device on the tailnet. A recorded device is never looked up by name again.
 */
export interface KnownDevice {
  tailnetIp: string;
  tailnetName: string;
}

export interface FoundationInputs {
  project: string;
}

/** The form of the ids of slots: servers that wait for their agents. No agent's id has it. */
export const SLOT_ID = /^slot-[0-9a-f]{24}$/;

/** The form of the ids of images, and of the builds that make them. No agent's id has it. */
export const IMAGE_ID = /^image-[0-9a-f]{16}-[0-9a-f]{8}$/;

/** The form of the names of the servers that restore drills make: no agent's server has one. */
export const DRILL_ID = /^drill-[0-9a-f]{16}$/;

/** Whether it is an image of ours: Hetzner's own have names, snapshots only ids. */
export const isOwnImage = (image: string): boolean => /^[0-9]+$/.test(image);

/** The name of an agent's stack and device. Those of a slot or an image's build have its own id. */
export const agentName = (agentId: string): string =>
  SLOT_ID.test(agentId) || IMAGE_ID.test(agentId) ? agentId : `agent-${agentId}`;
/** The description of an agent's snapshots: another one than a hibernation's, which is its server's name. */
export const agentSnapshotName = (agentId: string): string => `${agentName(agentId)} snapshot`;
/** The name of an agent's server, of its SSH key and of its tailnet key. */
export const toServerName = ({ agentId, serverName }: Pick<AgentInputs, 'agentId' | 'serverName'>): string =>
  serverName ?? agentName(agentId);
export const foundationName = (project: string): string => `foundation-${project}`;
/** The name of the firewall that a project's agents share. */
export const firewallName = (project: string): string => `agents-${project}`;
