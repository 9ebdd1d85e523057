import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { createSandboxApp } from './app.ts';
import { startSandboxClock } from './clock/sandbox-clock.ts';
import { clockSchema } from './clock/schema.ts';
import { issuedCredentialSchema } from './credentials/schema.ts';
import { openSandboxDatabase } from './database.ts';
import { startDueLoop } from './due.ts';
import { githubOptionsSchema } from './github/options.ts';
import { githubSchema } from './github/schema.ts';
import { startRunner } from './github/workflow-runner.ts';
import { hetznerSchema } from './hetzner/schema.ts';
import { type MachinesNetwork, openMachinesNetwork, realMachinesSchema } from './machines/real/machines.ts';
import { machinesSchema } from './machines/schema.ts';
import { createMachineHandlers } from './machines/simulated.ts';
import { sandboxSettingsSchema } from './settings.ts';
import { scheduleStored, stripeWork } from './stripe/business-work.ts';
import { createDeliveryHandlers, resumeDeliveries } from './stripe/deliveries.ts';
import { stripeSchema } from './stripe/schema.ts';
import { joinTailnet } from './tailscale/devices.ts';
import { tailscaleSchema } from './tailscale/schema.ts';
import { sandboxTokensSchema } from './tokens.ts';

/**
 * Due work that runs concurrently: webhooks that hang for ten seconds each must not delay booting machines.
 */
const DUE_CONCURRENCY = 64;

export const sandboxOptionsSchema = z.object({
  databaseUrl: z.string().min(1),
  /** 0: any free port. */
  port: z.number().int().min(0).max(65535),
  tokens: sandboxTokensSchema,
  webhookUrl: z.url({ protocol: /^https?$/ }),
  /** Without it, dispatched workflows stay queued. */
  github: githubOptionsSchema.optional(),
  /** With it, servers have real machines; without it, simulated ones. */
  machines: realMachinesSchema.optional(),
  /** Ids of users who may use the controls, in addition to this process's user and root. */
  users: z.array(z.number().int().min(0)).optional(),
  settings: sandboxSettingsSchema.prefault({}),
});

export type SandboxOptions = z.output<typeof sandboxOptionsSchema>;

export interface RunningSandbox {
  /** Its address, without a trailing slash. */
  url: string;
  /** Resolves on a failure that only a restart repairs. */
  failed: Promise<void>;
  /** Stops all work immediately; everything that was answered is in the database. */
  stop(): Promise<void>;
}

/** The tables of all areas. */
export const SANDBOX_SCHEMAS = [
  hetznerSchema,
  tailscaleSchema,
  machinesSchema,
  stripeSchema,
  githubSchema,
  clockSchema,
  issuedCredentialSchema,
];

/** Starts the whole sandbox in this process. @throws Error if the database or the port is unavailable. */
export async function startSandbox(options: SandboxOptions): Promise<RunningSandbox> {
  const { tokens, webhookUrl, users } = options;
  const settings = { ...options.settings, realMachines: options.machines !== undefined };
  const database = await openSandboxDatabase(options.databaseUrl, SANDBOX_SCHEMAS);
  const stopping = new AbortController();
  const { signal } = stopping;
  let network: MachinesNetwork | undefined;
  try {
    network = options.machines && (await openMachinesNetwork(database, options.machines));
    const { control, describe } = network ?? {};
    await scheduleStored(database);
    const clock = startSandboxClock(database, stripeWork, signal);
    const deps = { database, tokens, settings, webhookUrl };
    const own = { clock, control, network: describe, users: users ?? [], wakeMachines: network?.wake };
    const app = createSandboxApp({ ...deps, ...own });
    const server = await listen(app, options.port);
    await resumeDeliveries(database);
    const handlers = {
      ...((await network?.startMachines()) ?? createMachineHandlers({ database, joinTailnet })),
      ...createDeliveryHandlers({ ...deps, signal }),
    };
    const { github } = options;
    const runner = github && (await startRunner({ database, options: github, settings, signal }));
    const due = startDueLoop(database, handlers, { signal, concurrency: DUE_CONCURRENCY });
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      failed: network?.failed ?? new Promise(() => undefined),
      stop: async () => {
        stopping.abort();
        server.close();
        server.closeAllConnections();
        await Promise.all([due, clock.stopped, runner?.stopped, network?.stop()]);
        await database.destroy();
      },
    };
  } catch (error) {
    stopping.abort();
    await network?.stop();
    await database.destroy();
    throw error;
  }
}

async function listen(app: RequestListener, port: number): Promise<Server> {
  const server = createServer(app);
  // Longer than clients keep idle connections: they close first, and no request races with a close.
  server.keepAliveTimeout = 65_000;
  server.headersTimeout = 70_000;
  server.requestTimeout = 60_000;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
