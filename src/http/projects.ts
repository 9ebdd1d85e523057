import { z } from 'zod';
import { audit } from '../agents/audit.ts';
import { NotFoundError } from '../errors.ts';
import { listProjects as readProjects, setDraining } from '../projects/projects.ts';
import { actorOf } from './actor.ts';
import { endpoint } from './endpoint.ts';
import { pageOf } from './paging.ts';
import { presentProject, projectJson } from './project-json.ts';

export const listProjects = endpoint({
  id: 'listProjects',
  method: 'get',
  path: '/api/projects',
  summary: 'The Hetzner projects among which agents are placed, in the order of the configuration',
  access: 'viewer',
  answers: {
    200: {
      description: 'Those that are configured, and others in which something is left',
      schema: pageOf(projectJson),
    },
  },
  handle: async ({ response, deps }) => {
    response.json({ items: (await readProjects(deps.database)).map(presentProject), nextCursor: null });
  },
});

const params = z.object({
  name: z
    .string()
    .max(40)
    .regex(/^[a-z0-9](-?[a-z0-9])*$/, 'is not the name of a project'),
});

const toEndpoint = (verb: 'drain' | 'undrain', summary: string) =>
  endpoint({
    id: `${verb}Project`,
    method: 'post',
    path: `/api/projects/{name}/${verb}`,
    summary,
    access: 'operator',
    params,
    answers: {
      200: { description: 'The project now', schema: projectJson },
      404: { description: 'There is no such project' },
    },
    handle: async ({ params: { name }, request, response, deps: { database } }) => {
      const actor = actorOf(request, response);
      const project = await database.transaction().execute(async (trx) => {
        if (await setDraining(trx, name, { drains: verb === 'drain', by: actor }))
          await audit(trx, { actor, action: `project.${verb}`, details: { project: name } });
        const found = (await readProjects(trx)).find((one) => one.name === name);
        if (found === undefined) throw new NotFoundError(`There is no Hetzner project ${name}`);
        return found;
      });
      response.json(presentProject(project));
    },
  });

export const drainProject = toEndpoint(
  'drain',
  'Let no agent and no waiting server come into a Hetzner project any more; its agents live on',
);

export const undrainProject = toEndpoint('undrain', 'Let agents come into a drained Hetzner project again');
