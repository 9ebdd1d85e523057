import { z } from 'zod';
import { audit } from '../../agents/audit.ts';
import { listSnapshots, requestSnapshotRemoval } from '../../agents/snapshots.ts';
import { getAgent } from '../../agents/store.ts';
import { actorOf } from '../actor.ts';
import { endpoint } from '../endpoint.ts';
import { agentParams } from './agent-json.ts';
import { presentSnapshot, snapshotJson, snapshotsJson } from './snapshot-json.ts';

export const showSnapshots = endpoint({
  id: 'listSnapshots',
  method: 'get',
  path: '/api/agents/{agentId}/snapshots',
  summary: 'The snapshots of an agent’s disk that are kept beside its server, the newest first',
  access: 'viewer',
  params: agentParams,
  answers: {
    200: { description: 'Those that exist, and those that failed within a week', schema: snapshotsJson },
  },
  handle: async ({ params: { agentId }, response, deps: { database } }) => {
    await getAgent(database, agentId);
    response.json({ items: (await listSnapshots(database, agentId)).map(presentSnapshot) });
  },
});

export const removeSnapshot = endpoint({
  id: 'removeSnapshot',
  method: 'delete',
  path: '/api/snapshots/{snapshotId}',
  summary: 'Delete a snapshot of an agent, for good',
  access: 'operator',
  params: z.object({ snapshotId: z.guid() }),
  answers: {
    200: { description: 'It is being removed', schema: snapshotJson },
    409: { description: 'It is not complete, is gone, or its agent is being put back to it' },
  },
  handle: async ({ params: { snapshotId }, request, response, deps: { database } }) => {
    const row = await database.transaction().execute(async (trx) => {
      const removing = await requestSnapshotRemoval(trx, snapshotId);
      const { agent_id: agentId, hetzner_id: hetznerId } = removing;
      const actor = actorOf(request, response);
      await audit(trx, { actor, action: 'snapshot.remove', agentId, details: { snapshotId, hetznerId } });
      return removing;
    });
    response.json(presentSnapshot(row));
  },
});
