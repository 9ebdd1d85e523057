import { z } from 'zod';
import { planSchema, regionSchema, userIdSchema } from '../../agents/new-agent.ts';
import { refuseWhileLost } from '../../database/recovering.ts';
import type { AdoptionPlan } from '../../recovery/adopt-server.ts';
import { actorOf } from '../actor.ts';
import { endpoint } from '../endpoint.ts';
import { noAccessToClouds } from '../no-clouds.ts';
import { adoptionJson } from './adoption-json.ts';
import { agentParams } from './agent-json.ts';

const body = z
  .strictObject(
    {
      server: z
        .string()
        .regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, 'is not the name or the id of a server')
        .meta({ description: 'Hetzner’s id or name of the server', example: 'web1' }),
      userId: userIdSchema,
      project: z
        .string()
        .regex(/^[a-z0-9](-?[a-z0-9])*$/)
        .max(40)
        .optional()
        .meta({ description: 'Default: the Hetzner project that has such a server' }),
      region: regionSchema.optional().meta({ description: 'Default: the server’s location' }),
      plan: planSchema.optional(),
      hostKey: z
        .string()
        .max(300)
        .regex(
          /^ssh-ed25519 [A-Za-z0-9+/]{68}=?=?(\s[\x20-\x7e]*)?$/,
          'is not an ed25519 key in OpenSSH’s format',
        )
        .optional()
        .meta({
          description: 'The server’s own host key: /etc/ssh/ssh_host_ed25519_key.pub. Needed to apply',
        }),
      apply: z.boolean().optional().meta({ description: 'Whether to do it; default: only say what' }),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .meta({ id: 'AdoptServer' });

export const adoptServer = endpoint({
  id: 'adoptServer',
  method: 'post',
  path: '/api/agents/{agentId}/adopt',
  summary:
    'Make a server that was made by hand in one of the Hetzner projects an agent, or say what that would do',
  access: 'admin',
  params: agentParams,
  body,
  answers: {
    200: { description: 'What would be done', schema: adoptionJson },
    202: { description: 'Accepted; the operation that does it', schema: adoptionJson },
    409: { description: 'It cannot be adopted, or this service has no access to the clouds' },
  },
  handle: async ({ params, body: { apply = false, ...wanted }, request, response, deps }) => {
    const { adoptions, database, missingKeys = [] } = deps;
    if (adoptions === undefined) throw noAccessToClouds(missingKeys);
    await refuseWhileLost(database);
    const asked = { ...params, ...wanted, actor: actorOf(request, response) };
    if (!apply) {
      response.json(toJson(await adoptions.plan(asked)));
      return;
    }
    const { operation, accessScript, ...plan } = await adoptions.request(asked);
    const { operation_id: operationId } = operation;
    response
      .status(202)
      .location(`/api/operations/${operationId}`)
      .json({ ...toJson(plan), operationId, accessScript });
  },
});

function toJson({ agent, project, server, refusals, explained }: AdoptionPlan): z.input<typeof adoptionJson> {
  const { agentId, region, location, plan } = agent;
  const { id: serverId, name, serverType, location: at, system = null, ipv4 } = server;
  return {
    ...{ agentId, project, region, location, plan },
    server: { serverId, name, serverType, location: at, system, ipv4 },
    refusals,
    ...explained,
    operationId: null,
    accessScript: null,
  };
}
