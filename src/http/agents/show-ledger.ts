import { z } from 'zod';
import { getAgent } from '../../agents/store.ts';
import { NotFoundError } from '../../errors.ts';
import { readLedger, WAYS } from '../../operations/ledger.ts';
import { endpoint } from '../endpoint.ts';
import { agentParams } from './agent-json.ts';

export const ledgerJson = z
  .object({
    agentId: z.string(),
    operationId: z.guid(),
    way: z.enum(WAYS).meta({
      description: '`warm`: a server of the pool was taken over; `adopted`: one that was made by hand',
    }),
    orderedAt: z.iso.datetime(),
    runningAt: z.iso.datetime().nullable(),
    seconds: z.number().nullable().meta({ description: 'Null until the agent runs' }),
    steps: z.array(z.object({ step: z.string(), seconds: z.number() })),
  })
  .meta({ id: 'Ledger' });

export const showLedger = endpoint({
  id: 'showLedger',
  method: 'get',
  path: '/api/agents/{agentId}/ledger',
  summary: 'Where the time from the order to the running agent went',
  access: 'viewer',
  params: agentParams,
  answers: { 200: { description: 'The ledger of its first provision', schema: ledgerJson } },
  handle: async ({ params: { agentId }, response, deps: { database } }) => {
    await getAgent(database, agentId);
    const ledger = await readLedger(database, agentId);
    if (ledger === undefined) throw new NotFoundError(`Agent ${agentId} was never provisioned`);
    const { orderedAt, runningAt, ...rest } = ledger;
    response.json({
      agentId,
      ...rest,
      orderedAt: orderedAt.toISOString(),
      runningAt: runningAt?.toISOString() ?? null,
    });
  },
});
