import { z } from 'zod';

const milliseconds = z.number().int().min(0);

/** How fast and how strict the sandbox is. Every field has a default, so `{}` is valid. */
export const sandboxSettingsSchema = z.object({
  /** Time from the answer to `POST /servers` until the create action is `success`. */
  serverCreateMs: milliseconds.default(100),
  /** Length of every other action. */
  serverActionMs: milliseconds.default(50),
  /** Time from a finished create action until the machine has booted and joins the tailnet. */
  machineBootMs: milliseconds.default(50),
  /**
   * Whether all events go to the service's webhook, signed with the sandbox's own secret. Otherwise they go
   * only to the endpoints that are made through Stripe's API.
   */
  ownWebhook: z.boolean().default(true),
  /** First pause before an undelivered webhook is retried; it doubles from there. */
  webhookRetryMs: milliseconds.default(1000),
  /** Quota of a Hetzner project, refilled continuously. */
  requestsPerHour: z.number().int().positive().default(3600),
  /** Server limit of the Hetzner project; a real one starts with a handful and is raised on request. */
  maxServers: z.number().int().min(0).default(2000),
  /** Firewall limit of the Hetzner project: 50, as at Hetzner. */
  maxFirewalls: z.number().int().min(0).default(50),
  /** Whether a dispatch may ask for the id of its run; older GitHub servers reject that. */
  githubRunDetails: z.boolean().default(true),
  /** Concurrent workflow runs; further ones queue, as for a runner. */
  githubRunsAtOnce: z.number().int().positive().default(2),
  /** A longer run is cancelled, as by the workflow's `timeout-minutes`. */
  githubRunSeconds: z
    .number()
    .positive()
    .default(15 * 60),
  /** Whether servers have real machines. */
  realMachines: z.boolean().default(false),
  /** Check every answer of the Hetzner API against the official document; slow, meant for tests. */
  validateAnswers: z.boolean().default(false),
});

export type SandboxSettings = z.infer<typeof sandboxSettingsSchema>;

export const defaultSandboxSettings: SandboxSettings = sandboxSettingsSchema.parse({});
