import express from 'express';
import type pg from 'pg';
import { inTransaction, poolBehind, type SandboxDatabase } from '../database.ts';
import type { DueHandler } from '../due.ts';
import {
  type BootingServer,
  finishBoot,
  readBootingServer,
  readServerState,
} from '../hetzner/servers/boot.ts';
import { type CloudInit, readCloudInit } from './cloud-init.ts';

/** Lets a machine into the tailnet; the same `machineId` again gives the same device. */
export type JoinTailnet = (
  database: SandboxDatabase,
  machine: { authKey: string; hostname: string; machineId: string },
) => Promise<{ tailnetIp: string; name: string } | { refused: string }>;

type Dependencies = { database: SandboxDatabase; joinTailnet: JoinTailnet };

/** What is due for machines: `machine-boot` of a server that has started for the first time since its installation. */
export function createMachineHandlers({
  database,
  joinTailnet,
}: Dependencies): Record<'machine-boot', DueHandler> {
  const pool = poolBehind(database);
  return {
    'machine-boot': async ({ serverId }: { serverId: number }) => {
      const server = await readBootingServer(pool, serverId);
      // One that was switched off or deleted meanwhile does not boot; switching it on schedules the boot again.
      if (server === undefined || !['starting', 'running'].includes(server.status)) return;
      await recordBoot(pool, server, await bootMachine({ database, joinTailnet }, server));
    },
  };
}

type Boot = { hostname: string; tailnetIp: string | null; refusedReason: string | null };

/** Does what cloud-init would. A kill after it and before `recordBoot` repeats it, with the same device as its end. */
async function bootMachine({ database, joinTailnet }: Dependencies, server: BootingServer): Promise<Boot> {
  const config: CloudInit = readCloudInit(server.userData ?? '');
  const hostname = config.hostname ?? server.name;
  if (config.tailnetKey === undefined) {
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

async function recordBoot(pool: pg.Pool, server: BootingServer, boot: Boot): Promise<void> {
  await inTransaction(pool, async (client) => {
    if (!(await finishBoot(client, server))) return;
    const now = new Date();
    await client.query(
      `INSERT INTO machines (server_id, generation, hostname, tailnet_ip, joined_at, refused_reason, booted_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (server_id) DO UPDATE SET generation = excluded.generation, hostname = excluded.hostname,
         tailnet_ip = excluded.tailnet_ip, joined_at = excluded.joined_at,
         refused_reason = excluded.refused_reason, booted_at = excluded.booted_at`,
      [
        server.serverId,
        server.generation,
        boot.hostname,
        boot.tailnetIp,
        boot.tailnetIp === null ? null : now,
        boot.refusedReason,
        now,
      ],
    );
  });
}

/** `GET /machines/:tailnetIp/health`, as a machine's own health port would answer; to be mounted under `/sandbox`. */
export function createMachinesRouter(database: SandboxDatabase): express.Router {
  const pool = poolBehind(database);
  const router = express.Router();
  router.get('/machines/:tailnetIp/health', async (request, response) => {
    const { tailnetIp } = request.params;
    const hostname = await findRunningMachine(pool, tailnetIp);
    if (hostname !== undefined) {
      response.json({ status: 'ok', simulated: true, hostname });
      return;
    }
    const detail = `No running machine has the tailnet address ${tailnetIp}`;
    response
      .status(503)
      .type('application/problem+json')
      .send(JSON.stringify({ type: 'about:blank', title: 'Machine unavailable', status: 503, detail }));
  });
  return router;
}

async function findRunningMachine(pool: pg.Pool, tailnetIp: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ server_id: number; generation: number; hostname: string }>(
    'SELECT server_id, generation, hostname FROM machines WHERE tailnet_ip = $1',
    [tailnetIp],
  );
  const machine = rows[0];
  if (machine === undefined) return undefined;
  const server = await readServerState(pool, machine.server_id);
  const running = server?.status === 'running' && server.generation === machine.generation;
  return running ? machine.hostname : undefined;
}
