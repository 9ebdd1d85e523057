import { z } from 'zod';
import { serverIdSchema } from './outputs.ts';

/** The form of the names of agents, projects, locations and server types. */
const name = z
  .string()
  .regex(/^[a-z0-9](-?[a-z0-9])*$/)
  .max(40);
const line = z
  .string()
  .min(1)
  .max(300)
  .regex(/^[\x20-\x7e]*$/, 'is not a single line of text');
const publicKey = line.startsWith('ssh-ed25519 ');

/** The most that Hetzner takes of a label's name and of its value. */
const LONGEST_LABEL = 320;
/** The most labels of a server that can be given back as they were. */
export const MOST_LABELS = 64;

/** A server that was made by hand and is becoming the agent's, as it was before anything was changed. */
export const adoptingSchema = z.object({
  serverId: serverIdSchema,
  /** Its public address, over which it is let into the tailnet. */
  ipv4: z.ipv4(),
  /** The host key that it shows there; a server that shows another one gets nothing. */
  hostPublicKey: publicKey,
  before: z.object({
    name: z.string().min(1).max(253),
    labels: z
      .record(z.string().max(LONGEST_LABEL), z.string().max(LONGEST_LABEL))
      .refine((labels) => Object.keys(labels).length <= MOST_LABELS, `has more than ${MOST_LABELS} entries`),
  }),
  /** Since when its first attempt, or the first after a retry by a person, waits for its owner. */
  since: z.iso.datetime().optional(),
  /** Set before the service changes anything on the server itself: a give-back has something to undo. */
  isEntered: z.literal(true).optional(),
  /** A person has given up what cannot be undone on the server: keys and device are removed all the same. */
  isAbandoned: z.literal(true).optional(),
});
export type Adopting = z.infer<typeof adoptingSchema>;

/**
 * The inputs of an agent's stack, without its secrets. They are stored in the agent's row (`agents.inputs`).
 * Runners send them too, so every field is validated.
 */
export const agentInputsSchema = z.object({
  agentId: name,
  /** The provision that creates the agent. Becomes a label of its cloud resources that never changes. */
  operationId: z.guid(),
  /** The name of the Hetzner project that the environment's token belongs to. */
  project: name,
  location: name,
  serverType: name,
  /** An image's name. Ids would differ by architecture and change over time. */
  image: line,
  /**
   * The name of the server, of its SSH key and of its tailnet key: random, and independent of the agent's id.
   * Unset for agents from before: theirs are named after the agent.
   */
  serverName: name.optional(),
  /** Set once the server has been resized. The disk keeps its size, so that a smaller plan stays possible. */
  keepDisk: z.boolean().optional(),
  /** The id of the firewall in `foundation-<project>`. */
  firewallId: z.int().positive(),
  /** The OpenSSH public key with which the service administers the server. */
  sshPublicKey: publicKey,
  /** The OpenSSH public part of the server's first host key. */
  hostPublicKey: publicKey,
  /** Incremented when a new tailnet key is needed: after a lost create, or for a used or expired key. */
  keyGeneration: z.int().min(1).max(999_999_999),
  /**
   * The hostname under which the server joins the tailnet, unique to this key generation. It cannot be
   * guessed, so no other device can pose as this one. Unset in stacks from before join names existed.
   */
  joinName: z
    .string()
    .regex(/^join-[0-9a-f]{32}$/)
    .optional(),
  healthPort: z.int().min(1).max(65_535),
  /** Identifies the playbook's version; a new one configures the server again. */
  configurationVersion: line,
  /**
   * The operation and attempt that last requested a configuration, even with an unchanged playbook.
   */
  configuredBy: line.optional(),
  /** How long a new server may take to join the tailnet. */
  joinTimeoutSeconds: z.int().min(1).max(86_400),
  /**
   * How often the Hetzner provider polls an action's progress, as a Go duration. Unset means the provider's
   * default of 500 ms.
   */
  pollInterval: z
    .string()
    .regex(/^\d{1,6}(ms|s)$/)
    .optional(),
  /**
   * Set while a snapshot is kept in place of a server: the stack then declares no server. `joinGeneration`:
   * the device was gone when the agent was woken, and each server since then joins with this key generation.
   * `outdated`: snapshots of a server that may have run since they were made.
   */
  hibernated: z
    .object({
      snapshotId: serverIdSchema,
      joinGeneration: z.int().min(1).max(999_999_999).optional(),
      outdated: z.array(serverIdSchema).max(1_000).optional(),
    })
    .optional(),
  /**
   * Set until the agent runs on a server that it adopts. Until then that server is its owner's: a rollback or
   * a destroy gives it back, and deletes nothing of it.
   */
  adopting: adoptingSchema.optional(),
  /** The tailnet's login server, unless it is Tailscale's own. */
  loginServer: z
    .url({ protocol: /^https?$/ })
    .max(300)
    .optional(),
});
export type AgentInputs = z.infer<typeof agentInputsSchema>;
