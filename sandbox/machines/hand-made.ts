import express from 'express';
import { z } from 'zod';
import type { SandboxDatabase } from '../database.ts';
import { readServerState } from '../hetzner/servers/boot.ts';
import type { JoinTailnet } from './simulated.ts';

interface Dependencies {
  database: SandboxDatabase;
  joinTailnet: JoinTailnet;
}

const body = z.object({ authKey: z.string().max(300), hostname: z.string().max(63) });

/** An owner who has not let the service in yet sets this label; on a real machine an account is missing. */
const isClosed = ({ labels }: { labels: Record<string, string> }) => labels.access === 'closed';

/**
 * What the service does by SSH to a real machine that was made by hand: sees that it is let in (GET), lets
 * the machine join the tailnet (PUT), and undoes that (DELETE). Mount it under `/sandbox`.
 */
export function createHandMadeRouter({ database, joinTailnet }: Dependencies): express.Router {
  const router = express.Router();
  router.all(
    '/machines/servers/:serverId/tailnet',
    express.json({ limit: '4kb' }),
    async (request, response) => {
      const machine = await findRunning(database, request.params.serverId);
      if (machine === undefined) return refuse(response, 503, 'it does not run');
      if (isClosed(machine)) return refuse(response, 403, 'it lets nobody in');
      if (request.method === 'DELETE') await setAddress(database, machine.server_id, null);
      if (request.method === 'PUT' && machine.tailnet_ip === null) {
        const parsed = body.safeParse(request.body);
        if (!parsed.success) return refuse(response, 400, 'authKey or hostname is missing');
        const machineId = `server-${machine.server_id}-${machine.generation}`;
        const joined = await joinTailnet(database, { ...parsed.data, machineId });
        if ('refused' in joined) return refuse(response, 500, joined.refused);
        await setAddress(database, machine.server_id, joined.tailnetIp);
      }
      response.json({});
    },
  );
  return router;
}

const refuse = (response: express.Response, status: number, error: string) =>
  void response.status(status).json({ error });

async function findRunning(database: SandboxDatabase, id: string) {
  if (!/^[0-9]{1,9}$/.test(id)) return undefined;
  const machine = await database
    .selectFrom('machines as m')
    .innerJoin('hetzner_servers as s', 's.id', 'm.server_id')
    .select(['m.server_id', 'm.generation', 'm.tailnet_ip', 's.labels'])
    .where('m.server_id', '=', Number(id))
    .executeTakeFirst();
  const server = machine && (await readServerState(database, machine.server_id));
  return server?.status === 'running' ? machine : undefined;
}

async function setAddress(database: SandboxDatabase, serverId: number, tailnetIp: string | null) {
  await database
    .updateTable('machines')
    .set({ tailnet_ip: tailnetIp, joined_at: tailnetIp === null ? null : new Date() })
    .where('server_id', '=', serverId)
    .execute();
}
