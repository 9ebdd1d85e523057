import express from 'express';
import { z } from 'zod';
import type { SandboxDatabase } from '../database.ts';
import type { DueHandler } from '../due.ts';
import {
  type BootingServer,
  finishBoot,
  readBootingServer,
  readServerState,
} from '../hetzner/servers/boot.ts';
import { type CloudInit, readCloudInit } from './cloud-init.ts';

/** Joins a machine to the tailnet. The same `machineId` gets the same device again. */
export type JoinTailnet = (
  database: SandboxDatabase,
  machine: { authKey: string; hostname: string; machineId: string },
) => Promise<{ tailnetIp: string; name: string } | { refused: string }>;

interface Dependencies {
  database: SandboxDatabase;
  joinTailnet: JoinTailnet;
}

/** Creates the handler of `machine-boot`: a server's first start since its disk was installed. */
export function createMachineHandlers({
  database,
  joinTailnet,
}: Dependencies): Record<'machine-boot', DueHandler> {
  return {
    'machine-boot': async ({ serverId }: { serverId: number }) => {
      const server = await readBootingServer(database, serverId);
      // Switched off or deleted meanwhile, so it does not boot. Switching it on schedules the boot again.
      if (server === undefined || !['starting', 'running'].includes(server.status)) return;
      await recordBoot(database, server, await bootMachine({ database, joinTailnet }, server));
    },
  };
}

interface Boot {
  hostname: string;
  tailnetIp: string | null;
  refusedReason: string | null;
}

/**
 * Does what cloud-init would do. After a kill before `recordBoot`, it repeats and joins as the same device.
 */
async function bootMachine({ database, joinTailnet }: Dependencies, server: BootingServer): Promise<Boot> {
  const config: CloudInit = readCloudInit(server.userData ?? '');
  const hostname = config.hostname ?? server.name;
  if (config.tailnetKey === undefined) {
    const tailnetIp = await readIdentityOnDisk(database, server);
    if (tailnetIp !== null) return { hostname, tailnetIp, refusedReason: null };
    const usedUp = server.userData === null && server.generation > 1;
    const refusedReason = usedUp ? 'what the user data held was used up by an earlier boot' : null;
    return { hostname, tailnetIp: null, refusedReason };
  }
  const machineId = `server-${server.serverId}-${server.generation}`;
  const joined = await joinTailnet(database, {
    authKey: config.tailnetKey,
    hostname: config.joinName ?? hostname,
    machineId,
  });
  if ('refused' in joined) return { hostname, tailnetIp: null, refusedReason: joined.refused };
  return { hostname, tailnetIp: joined.tailnetIp, refusedReason: null };
}

/** A disk from a snapshot has the tailnet identity of the machine that it was copied from. */
async function readIdentityOnDisk(
  database: SandboxDatabase,
  { originId }: BootingServer,
): Promise<string | null> {
  if (originId === null) return null;
  const origin = await database
    .selectFrom('machines')
    .select('tailnet_ip')
    .where('server_id', '=', originId)
    .executeTakeFirst();
  return origin?.tailnet_ip ?? null;
}

async function recordBoot(database: SandboxDatabase, server: BootingServer, boot: Boot): Promise<void> {
  await database.transaction().execute(async (trx) => {
    if (!(await finishBoot(trx, server))) return;
    const now = new Date();
    const machine = {
      generation: server.generation,
      // A reinstalled disk has forgotten it.
      tenant: null,
      hostname: boot.hostname,
      tailnet_ip: boot.tailnetIp,
      joined_at: boot.tailnetIp === null ? null : now,
      refused_reason: boot.refusedReason,
      booted_at: now,
    };
    await trx
      .insertInto('machines')
      .values({ server_id: server.serverId, ...machine })
      .onConflict((conflict) => conflict.column('server_id').doUpdateSet(machine))
      .execute();
  });
}

/**
 * Serves `GET /machines/:tailnetIp/health` like a machine's own health port, and takes the agent that a
 * machine is given to. Mount it under `/sandbox`.
 */
export function createMachinesRouter(database: SandboxDatabase): express.Router {
  const router = express.Router();
  router.get('/machines/:tailnetIp/health', async (request, response) => {
    const { tailnetIp } = request.params;
    const machine = await findRunningMachine(database, tailnetIp);
    if (machine !== undefined) {
      const { hostname, tenant } = machine;
      response.json({ status: 'ok', simulated: true, hostname, ...(tenant !== null && { agentId: tenant }) });
      return;
    }
    refuse(response, tailnetIp);
  });
  // A real machine gets this over SSH together with its agent.
  router.put('/machines/:tailnetIp/tenant', express.json({ limit: '1kb' }), async (request, response) => {
    const { tailnetIp } = request.params;
    const parsed = tenantSchema.safeParse(request.body);
    if (!parsed.success) {
      response.status(400).json({ error: 'agentId is missing or malformed' });
      return;
    }
    const machine = await findRunningMachine(database, tailnetIp);
    if (machine === undefined) {
      refuse(response, tailnetIp);
      return;
    }
    await database
      .updateTable('machines')
      .set({ tenant: parsed.data.agentId })
      .where('server_id', '=', machine.server_id)
      .execute();
    response.status(204).end();
  });
  return router;
}

const tenantSchema = z.object({
  agentId: z
    .string()
    .regex(/^[a-z0-9](-?[a-z0-9])*$/)
    .max(40),
});

function refuse(response: express.Response, tailnetIp: string): void {
  const detail = `No running machine has the tailnet address ${tailnetIp}`;
  response
    .status(503)
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', title: 'Machine unavailable', status: 503, detail }));
}

async function findRunningMachine(database: SandboxDatabase, tailnetIp: string) {
  // A machine and those from snapshots of it have one address.
  const machines = await database
    .selectFrom('machines')
    .select(['server_id', 'generation', 'hostname', 'tenant'])
    .where('tailnet_ip', '=', tailnetIp)
    .orderBy('booted_at', 'desc')
    .execute();
  for (const machine of machines) {
    const server = await readServerState(database, machine.server_id);
    if (server?.status === 'running' && server.generation === machine.generation) return machine;
  }
  return undefined;
}
