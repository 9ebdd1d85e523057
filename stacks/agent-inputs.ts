import { z } from 'zod';

/** A name as agents, projects, locations and server types have it. */
const name = z
  .string()
  .regex(/^[a-z0-9](-?[a-z0-9])*$/)
  .max(40);
const line = z
  .string()
  .min(1)
  .max(300)
  .regex(/^[\x20-\x7e]*$/, 'is not one line of text');
const publicKey = line.startsWith('ssh-ed25519 ');

/**
 * The inputs of an agent's stack. All but the two secrets are kept in the agent's row (`agents.inputs`).
 * Runners send them too, so each is checked.
 */
export const agentInputsSchema = z.object({
  agentId: name,
  /** The provision that creates the agent; a label of its cloud resources that never changes. */
  operationId: z.guid(),
  /** Name of the Hetzner project whose token the environment brings. */
  project: name,
  location: name,
  serverType: name,
  /** An image's name, never its id: ids differ by architecture and change. */
  image: line,
  /** Set once the server has been resized: the disk keeps its size, so that a smaller plan stays possible. */
  keepDisk: z.boolean().optional(),
  /** Id of the firewall in `foundation-<project>`. */
  firewallId: z.int().positive(),
  /** OpenSSH public key by which the service administers the server. */
  sshPublicKey: publicKey,
  /** OpenSSH public part of the server's first host key. */
  hostPublicKey: publicKey,
  /** Raised when a new tailnet key is needed: after a lost create, a used or an expired key. */
  keyGeneration: z.int().min(1).max(999_999_999),
  /**
   * The hostname under which the server joins the tailnet, for this generation alone. It cannot be guessed,
   * so no other device can pose as this one. Unset in stacks made before there were such names.
   */
  joinName: z
    .string()
    .regex(/^join-[0-9a-f]{32}$/)
    .optional(),
  healthPort: z.int().min(1).max(65_535),
  /** Identifies the playbook; a new one configures the server again. */
  configurationVersion: line,
  /**
   * The operation (and attempt) that last asked for a configuration, whether or not the playbook has changed.
   */
  configuredBy: line.optional(),
  /** How long a new server may take to join the tailnet. */
  joinTimeoutSeconds: z.int().min(1).max(86_400),
  /**
   * How often the Hetzner provider asks for an action's progress, as a Go duration; unset: the provider's own
   * 500 ms.
   */
  pollInterval: z
    .string()
    .regex(/^\d{1,6}(ms|s)$/)
    .optional(),
  /** Tailscale's login server where it is not Tailscale's own. */
  loginServer: z
    .url({ protocol: /^https?$/ })
    .max(300)
    .optional(),
});
export type AgentInputs = z.infer<typeof agentInputsSchema>;
