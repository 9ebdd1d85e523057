import { z } from 'zod';
import { planSchema, regionSchema } from '../agents/new-agent.ts';
import { listRuns, startRun } from '../canary/runs.ts';
import { actorOf } from './actor.ts';
import { canaryJson, presentCanary } from './canary-json.ts';
import { endpoint } from './endpoint.ts';

const SHOWN = 20;

const body = z
  .strictObject(
    {
      maxEuros: z
        .number({ error: 'must be a number of euros' })
        .positive('must be more than nothing')
        .max(1000, 'must be at most 1000'),
      region: regionSchema.default('eu-central'),
      plan: planSchema.optional(),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .meta({ id: 'NewCanary' });

export const startCanary = endpoint({
  id: 'startCanary',
  method: 'post',
  path: '/api/canary',
  summary: 'Take one agent through a whole life, to show that everything works',
  access: 'operator',
  body,
  answers: {
    202: { description: 'It begins, unless it would cost more', schema: canaryJson },
    409: { description: 'Another one is under way' },
  },
  handle: async ({ body, request, response, deps: { database } }) => {
    const wanted = { ...body, cause: 'person', actor: actorOf(request, response) } as const;
    const run = await database.transaction().execute((trx) => startRun(trx, wanted));
    response.status(202).json(presentCanary({ ...run, steps: [] }));
  },
});

export const listCanaries = endpoint({
  id: 'listCanaries',
  method: 'get',
  path: '/api/canary',
  summary: 'The last canaries, the newest first, with the time and the money of each step',
  access: 'viewer',
  answers: {
    200: { description: `The last ${SHOWN}`, schema: z.object({ items: z.array(canaryJson) }) },
  },
  handle: async ({ response, deps: { database } }) => {
    response.json({ items: (await listRuns(database, SHOWN)).map(presentCanary) });
  },
});
