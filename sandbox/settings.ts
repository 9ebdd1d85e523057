import { z } from 'zod';

const milliseconds = z.number().int().min(0);

/** How fast and how strict the sandbox is. Every field has a default, so `{}` is a valid set of settings. */
export const sandboxSettingsSchema = z.object({
  /** From the answer to `POST /servers` until the create action says `success`. */
  serverCreateMs: milliseconds.default(100),
  /** Length of every other action. */
  serverActionMs: milliseconds.default(50),
  /** From a finished create action until the machine has booted and joins the tailnet. */
  machineBootMs: milliseconds.default(50),
  /** First pause before an undelivered webhook is sent again; doubles from there. */
  webhookRetryMs: milliseconds.default(1000),
  /** Quota of a Hetzner project, refilled continuously. */
  requestsPerHour: z.number().int().positive().default(3600),
  /** Servers that the Hetzner project may hold; a real one starts with a handful and is raised on request. */
  maxServers: z.number().int().min(0).default(2000),
  /** Firewalls that the Hetzner project may hold: 50, as in reality. */
  maxFirewalls: z.number().int().min(0).default(50),
  /** GitHub tells the id of a dispatched run where it is asked to; older servers refuse the question. */
  githubRunDetails: z.boolean().default(true),
  /** Workflow runs at once; the others wait, as they do for a runner. */
  githubRunsAtOnce: z.number().int().positive().default(2),
  /** A run that takes longer is ended: the workflow's `timeout-minutes`. */
  githubRunSeconds: z
    .number()
    .positive()
    .default(15 * 60),
  /** Real machines stand behind the servers. */
  realMachines: z.boolean().default(false),
  /** Check every answer of the Hetzner API against the official document; costs time, meant for tests. */
  validateAnswers: z.boolean().default(false),
});

export type SandboxSettings = z.infer<typeof sandboxSettingsSchema>;

export const defaultSandboxSettings: SandboxSettings = sandboxSettingsSchema.parse({});
