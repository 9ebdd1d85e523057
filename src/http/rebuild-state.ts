import { z } from 'zod';
import { ConflictError } from '../errors.ts';
import { acceptState } from '../recovery/accept.ts';
import { actorOf } from './actor.ts';
import { endpoint } from './endpoint.ts';
import { noAccessToClouds } from './no-clouds.ts';
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
      throw noAccessToClouds(missingKeys, ', do this again, and start it without afterwards');
    const actor = actorOf(request, response);
    response.json(await rebuildState({ actor, apply: wanted?.apply === true }));
  },
});

const acceptance = z
  .strictObject(
    { note: z.string().trim().min(1).max(500).optional().meta({ description: 'Why, for the audit log' }) },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .optional();

export const acceptStateRoute = endpoint({
  id: 'acceptState',
  method: 'post',
  path: '/api/rebuild-state/accept',
  summary:
    'Vouch that the rows are all there is after a restore, where only the GitHub runners have the keys to look at the clouds',
  access: 'admin',
  body: acceptance,
  answers: {
    200: { description: 'Work begins', schema: z.object({ accepted: z.literal(true) }) },
    409: { description: 'Nothing waits for it, or this service can look itself' },
  },
  handle: async ({ body: told, request, response, deps: { database, rebuildState } }) => {
    if (rebuildState !== undefined)
      throw new ConflictError('This service can look at the clouds itself: npm run agents -- rebuild-state');
    await acceptState({ database }, { actor: actorOf(request, response), note: told?.note });
    response.json({ accepted: true });
  },
});
