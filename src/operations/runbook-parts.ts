import type { AgentInputs } from '../../stacks/inputs.ts';
import type { Vault } from '../agents/secrets.ts';
import type { HetznerClient } from '../hetzner/hetzner.ts';
import type { StackEngine } from '../pulumi/engine/stack-engine.ts';
import type { StateStore } from '../pulumi/state-store.ts';
import type { HealthCheck } from '../tailnet/agent-health.ts';
import type { TailscaleClient } from '../tailscale/tailscale.ts';
import type { Attempt } from './attempt.ts';

/** What every agent of this installation is given. */
export interface ProvisionSettings {
  healthPort: number;
  /** Identifies the playbook. */
  configurationVersion: string;
  joinTimeoutSeconds: number;
  healthTimeoutSeconds: number;
  loginServer: string | undefined;
  /** How often the provider polls an action at Hetzner, as a Go duration; undefined: its own interval. */
  pollInterval: string | undefined;
}

/** Records on the agent's row what is about to be made. `secrets` are sealed by the vault. */
export type RecordInputs = (
  run: Attempt,
  prepared: { inputs: AgentInputs; secrets: Buffer },
) => Promise<void>;

/**
 * What runbooks work with, in a worker beside the database or on a runner that reaches the service over HTTP.
 */
export interface RunbookParts {
  /** Lists by the page are for the sweep alone. */
  hetzner: Omit<HetznerClient, 'serverPage' | 'sshKeyPage'>;
  tailscale: TailscaleClient;
  executor: StackEngine;
  state: StateStore;
  health: HealthCheck;
  vault: Vault;
  settings: ProvisionSettings;
  /** Makes what the project's agents share if it is missing. @returns the firewall's id */
  ensureFoundation(run: Attempt, project: string): Promise<number>;
  recordInputs: RecordInputs;
  /** How long a system may take to shut down before its power is cut; default a minute. */
  shutdownSeconds?: number;
  /** How long the clouds may take to get rid of what was deleted; default a minute. */
  goneWithinSeconds?: number;
}
