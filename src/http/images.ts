import { z } from 'zod';
import { audit } from '../agents/audit.ts';
import { regionSchema } from '../agents/new-agent.ts';
import { DEFAULT_PLAN, serverFor } from '../agents/plans.ts';
import { toLocation } from '../agents/regions.ts';
import type { Database } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import { architectureOf, pruneImages } from '../images/choice.ts';
import { requestImage } from '../images/images.ts';
import { type ImageState, listImages } from '../images/listing.ts';
import { listOpenProjects } from '../projects/projects.ts';
import { actorOf } from './actor.ts';
import type { HttpDeps } from './deps.ts';
import { endpoint } from './endpoint.ts';
import { type ImageJson, imageJson, imagesJson, prunedJson } from './image-json.ts';

async function presentImages({ database, playbookVersion }: HttpDeps): Promise<ImageJson[]> {
  const images = await listImages(database);
  return images.map(({ createdAt, availableAt, ...image }: ImageState) => ({
    ...image,
    fits: image.status === 'available' && image.version === playbookVersion,
    createdAt: createdAt.toISOString(),
    availableAt: availableAt?.toISOString() ?? null,
  }));
}

export const showImages = endpoint({
  id: 'listImages',
  method: 'get',
  path: '/api/images',
  summary: 'The images that new servers are made from, and their builds, the newest first',
  access: 'viewer',
  answers: {
    200: { description: 'Those that exist, and builds that failed within a week', schema: imagesJson },
  },
  handle: async ({ response, deps }) => {
    response.json({ items: await presentImages(deps) });
  },
});

const build = z
  .strictObject(
    {
      region: regionSchema.optional().meta({ description: 'Where its server is made' }),
      project: z.string().max(40).optional().meta({
        description: 'The Hetzner project for whose servers it is; default: the first that takes any there',
      }),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .optional();

const DEFAULT_REGION = 'eu-central';

export const buildImage = endpoint({
  id: 'buildImage',
  method: 'post',
  path: '/api/images',
  summary: 'Build an image of this version of the playbook, unless it is being built',
  access: 'operator',
  body: build,
  answers: {
    202: { description: 'The image that is being built', schema: imageJson },
    409: {
      description:
        'This process does not know the version of the playbook, or no project takes servers there',
    },
  },
  handle: async ({ body, request, response, deps }) => {
    const { database } = deps;
    const version = versionOf(deps);
    const location = toLocation(body?.region ?? DEFAULT_REGION)!;
    const { serverType } = serverFor(DEFAULT_PLAN, location);
    const project = await projectFor(database, { named: body?.project, location });
    const kind = { project, version, architecture: architectureOf(serverType) };
    const { image_id: imageId } = await database.transaction().execute(async (trx) => {
      const image = await requestImage(trx, { ...kind, location, plan: DEFAULT_PLAN });
      const details = { imageId: image.image_id, version, project, location };
      await audit(trx, { actor: actorOf(request, response), action: 'image.build', details });
      return image;
    });
    const images = await presentImages(deps);
    response.status(202).json(images.find((image) => image.imageId === imageId));
  },
});

export const removeImages = endpoint({
  id: 'pruneImages',
  method: 'post',
  path: '/api/images/prune',
  summary: 'Remove the images that no new server is made from, except those that one is being made from',
  access: 'operator',
  answers: {
    202: {
      description: 'The ids of those that are now being removed',
      schema: prunedJson,
    },
    409: { description: 'This process does not know the version of the playbook' },
  },
  handle: async ({ request, response, deps }) => {
    const wanted = { version: versionOf(deps), actor: actorOf(request, response) };
    const removed = await deps.database.transaction().execute((trx) => pruneImages(trx, wanted));
    response.status(202).json({ removed });
  },
});

/** @throws ConflictError */
async function projectFor(
  database: Database,
  { named, location }: { named: string | undefined; location: string },
): Promise<string> {
  const open = await listOpenProjects(database);
  const found = open.find(
    ({ name, locations }) =>
      (named === undefined || name === named) && (locations === null || locations.includes(location)),
  );
  if (found !== undefined) return found.name;
  const which = named === undefined ? 'No Hetzner project' : `The Hetzner project ${named} is unknown, or`;
  throw new ConflictError(`${which} takes no servers in ${location}: npm run agents -- projects list`);
}

function versionOf({ playbookVersion }: HttpDeps): string {
  if (playbookVersion !== undefined) return playbookVersion;
  throw new ConflictError('This process does not know the version of the playbook');
}
