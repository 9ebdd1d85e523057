import { z } from 'zod';
import { ConflictError } from '../errors.ts';
import { actorOf } from './actor.ts';
import { endpoint } from './endpoint.ts';
import { rebuiltJson } from './rebuild-json.ts';

const body = z
  .strictObject(
    {
      apply: z.boolean().optional().meta({ description: 'Whether to do it; default: only say what' }),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .optional();

export const rebuildStateRoute = endpoint({
  id: 'rebuildState',
  method: 'post',
  path: '/api/rebuild-state',
  summary:
    'Rebuild the rows of agents and orders from Hetzner, Tailscale and Stripe, and import the stacks. Changes nothing at a cloud',
  access: 'admin',
  body,
  answers: {
    200: { description: 'What was found, and done about it', schema: rebuiltJson },
    409: { description: 'A rebuild is under way, or this service has no access to the clouds' },
  },
  handle: async ({ body: wanted, request, response, deps: { rebuildState, missingKeys = [] } }) => {
    if (rebuildState === undefined)
      throw new ConflictError(
        `This service has no access to the clouds: only the GitHub runners have the keys. Start it with ${missingKeys.join(' and ')}, do this again, and start it without afterwards`,
      );
    const actor = actorOf(request, response);
    response.json(await rebuildState({ actor, apply: wanted?.apply === true }));
  },
});
