import express from 'express';
import type pg from 'pg';
import { z } from 'zod';
import { inTransaction } from '../../database.ts';
import { orderedActionError } from '../../faults.ts';
import type { SandboxSettings } from '../../settings.ts';
import { insertActions, toAction } from '../actions/store.ts';
import { HetznerError, notFound } from '../errors.ts';
import { parseId, parseInput } from '../input.ts';
import { labelsInput } from '../labels.ts';
import { paginationMeta, slicePage } from '../listing.ts';
import { startServerAction } from '../servers/actions.ts';
import { stay } from '../servers/power.ts';
import { createImageInput, insertImage } from './create.ts';
import { filterImages, imageQuery, sortImages } from './query.ts';
import { type ImageRow, lockImage, readAllImages, toImage } from './store.ts';

const updateInput = z.object({
  description: z.string().max(255).optional(),
  type: z.literal('snapshot').optional(),
  labels: labelsInput.optional(),
});

const protectionInput = z.object({ delete: z.boolean().optional() });

type Dependencies = { pool: pg.Pool; settings: SandboxSettings };

/** `/images`: the provider's, and the snapshots and backups that were made of the project's servers. */
export function createImagesRouter({ pool, settings }: Dependencies): express.Router {
  const router = express.Router();
  router.get('/images', async (request, response) => {
    const query = parseInput(imageQuery, request.query);
    const found = filterImages(await readAllImages(pool, new Date()), query);
    const page = slicePage(sortImages(found, query.sort), query);
    response.json({ images: page.rows, meta: paginationMeta(query, page.total) });
  });
  router.get('/images/:id', async (request, response) => {
    const id = imageId(request);
    const image = (await readAllImages(pool, new Date())).find((candidate) => candidate.id === id);
    if (image === undefined) throw notFound('image');
    response.json({ image });
  });
  router.put('/images/:id', async (request, response) => {
    const row = await updateImage(pool, imageId(request), parseInput(updateInput, request.body));
    response.json({ image: toImage(row, new Date()) });
  });
  router.delete('/images/:id', async (request, response) => {
    await deleteImage(pool, imageId(request));
    response.status(204).send();
  });
  addImageActions(router, { pool, settings });
  return router;
}

function addImageActions(router: express.Router, { pool, settings }: Dependencies): void {
  router.post('/servers/:id/actions/create_image', async (request, response) => {
    const input = parseInput(createImageInput, request.body);
    const made: { row: ImageRow; now: Date }[] = [];
    const command = {
      command: 'create_image',
      run: async (context: Parameters<typeof insertImage>[0]) => {
        made.push({ row: await insertImage(context, input), now: context.now });
        return stay(context);
      },
    };
    const serverId = parseId(request.params.id, 'server');
    const action = await startServerAction(
      { pool, settings },
      serverId,
      command,
      orderedActionError(response),
    );
    // Both as they were in the moment in which it began.
    const { row, now } = made[0]!;
    response.status(201).json({ image: toImage(row, now), action });
  });
  router.post('/images/:id/actions/change_protection', async (request, response) => {
    const input = parseInput(protectionInput, request.body);
    const id = imageId(request);
    const startedAt = new Date();
    const finishesAt = new Date(startedAt.getTime() + settings.serverActionMs);
    const error = orderedActionError(response);
    const rows = await inTransaction(pool, async (client) => {
      const image = await lockImage(client, id);
      if (error === undefined)
        await client.query('UPDATE hetzner_images SET protected = $2 WHERE id = $1', [
          id,
          input.delete ?? image.protected,
        ]);
      const resources = [{ id, type: 'image' as const }];
      return insertActions(client, [
        { command: 'change_protection', startedAt, finishesAt, resources, error },
      ]);
    });
    response.status(201).json({ action: toAction(rows[0]!, startedAt) });
  });
}

async function updateImage(
  pool: pg.Pool,
  id: number,
  update: z.output<typeof updateInput>,
): Promise<ImageRow> {
  return inTransaction(pool, async (client) => {
    await lockImage(client, id);
    // A backup that becomes a snapshot is bound to its server no more, and outlives it.
    const { rows } = await client.query<ImageRow>(
      `UPDATE hetzner_images SET description = coalesce($2, description), type = coalesce($3, type),
         labels = coalesce($4, labels) WHERE id = $1 RETURNING *`,
      [id, update.description, update.type, update.labels],
    );
    return rows[0]!;
  });
}

async function deleteImage(pool: pg.Pool, id: number): Promise<void> {
  await inTransaction(pool, async (client) => {
    const image = await lockImage(client, id);
    if (image.protected) throw new HetznerError(423, 'protected', 'delete is protected for this image');
    await client.query('UPDATE hetzner_images SET deleted_at = $2 WHERE id = $1', [id, new Date()]);
  });
}

function imageId(request: express.Request<{ id: string }>): number {
  return parseId(request.params.id, 'image');
}
