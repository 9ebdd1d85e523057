/** What an agent's stack is told. Everything but the two secrets is kept in the agent's row (`agents.inputs`). */
export interface AgentInputs {
  agentId: string;
  /** The provision that creates the agent; a label of its cloud resources that never changes. */
  operationId: string;
  /** Name of the Hetzner project whose token the environment brings. */
  project: string;
  location: string;
  serverType: string;
  /** An image's name, never its id: ids differ by architecture and change. */
  image: string;
  /** Set once the server has been resized: its disk stays as it was bought, so that a smaller plan is possible again. */
  keepDisk?: boolean;
  /** Id of the firewall in `foundation-<project>`. */
  firewallId: number;
  /** OpenSSH public key by which the service administers the server. */
  sshPublicKey: string;
  /** OpenSSH public part of the server's first host key. */
  hostPublicKey: string;
  /** Raised when a new tailnet key is needed: after a lost create, a used or an expired key. */
  keyGeneration: number;
  /**
   * The hostname under which the server joins the tailnet, of this generation alone: nobody else can guess
   * it, so nobody else can be taken for it. Unset in stacks made before there were such names.
   */
  joinName?: string;
  healthPort: number;
  /** Identifies the playbook; a new one configures the server again. */
  configurationVersion: string;
  /** The operation (and attempt) that asked for the server to be configured again, whether or not the playbook is another; unset: none has. */
  configuredBy?: string;
  /** How long a new server may take to join the tailnet. */
  joinTimeoutSeconds: number;
  /** How often the Hetzner provider asks for an action's progress, as a Go duration; unset: the provider's own 500 ms. */
  pollInterval?: string;
  /** Tailscale's login server where it is not Tailscale's own. */
  loginServer?: string;
}

export interface AgentSecrets {
  /** OpenSSH private part of the server's first host key; replaced in the first Ansible run. */
  hostPrivateKey: string;
}

/** Ids of resources that exist in the cloud but not in the state, found by name and labels after a crash. */
export interface FoundResources {
  sshKeyId?: string;
  serverId?: string;
}

/**
 * The agent's device on the tailnet, once it has been recorded: from then on it is not looked up by a name
 * any more.
 */
export interface KnownDevice {
  tailnetIp: string;
  tailnetName: string;
}

export interface FoundationInputs {
  project: string;
}

export const agentName = (agentId: string): string => `agent-${agentId}`;
export const foundationName = (project: string): string => `foundation-${project}`;
