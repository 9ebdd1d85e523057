import { audit } from '../../agents/audit.ts';
import { getAgent } from '../../agents/store.ts';
import { listDrills, startDrill } from '../../snapshots/drills.ts';
import { actorOf } from '../actor.ts';
import { endpoint } from '../endpoint.ts';
import { noAccessToClouds } from '../no-clouds.ts';
import { agentParams } from './agent-json.ts';
import { drillJson, drillsJson, presentDrill } from './snapshot-json.ts';

const SHOWN = 20;

export const drillSnapshot = endpoint({
  id: 'drillSnapshot',
  method: 'post',
  path: '/api/agents/{agentId}/snapshot-drill',
  summary: 'Make a server from the agent’s newest snapshot, closed to everything, to show that it boots',
  access: 'operator',
  params: agentParams,
  answers: {
    202: { description: 'It begins', schema: drillJson },
    409: {
      description:
        'The agent has no complete snapshot or is destroyed, another drill is under way, or only runners have the clouds’ keys',
    },
  },
  handle: async ({ params: { agentId }, request, response, deps: { database, missingKeys = [] } }) => {
    // No worker would take it on, and a destroy would wait for its end.
    if (missingKeys.length > 0) throw noAccessToClouds(missingKeys);
    const drillId = await database.transaction().execute(async (trx) => {
      await getAgent(trx, agentId);
      const drill = await startDrill(trx, { agentId, cause: 'person' });
      const details = { drillId: drill.drill_id, snapshotId: drill.snapshot_id };
      await audit(trx, { actor: actorOf(request, response), action: 'snapshot.drill', agentId, details });
      return drill.drill_id;
    });
    const begun = (await listDrills(database, SHOWN)).find((one) => one.drill_id === drillId);
    response.status(202).json(presentDrill(begun!));
  },
});

export const showDrills = endpoint({
  id: 'listSnapshotDrills',
  method: 'get',
  path: '/api/snapshot-drills',
  summary: 'The last restore drills, the newest first',
  access: 'viewer',
  answers: { 200: { description: `The last ${SHOWN}`, schema: drillsJson } },
  handle: async ({ response, deps: { database } }) => {
    response.json({ items: (await listDrills(database, SHOWN)).map(presentDrill) });
  },
});
