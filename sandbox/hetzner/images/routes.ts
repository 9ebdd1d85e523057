import express from 'express';
import { sql } from 'kysely';
import { z } from 'zod';
import type { SandboxDatabase } from '../../database.ts';
import { orderedActionError } from '../../faults.ts';
import type { SandboxSettings } from '../../settings.ts';
import { insertActions, toAction } from '../actions/store.ts';
import { HetznerError, notFound } from '../errors.ts';
import { parseId, parseInput } from '../input.ts';
import { labelsInput } from '../labels.ts';
import { paginationMeta, slicePage } from '../listing.ts';
import { startServerAction } from '../servers/actions.ts';
import { stay } from '../servers/power.ts';
import { relabelled } from '../updates.ts';
import { createImageInput, insertImage } from './create.ts';
import { filterImages, imageQuery, sortImages } from './query.ts';
import { type ImageRow, lockImage, readAllImages, toImage } from './store.ts';

const updateInput = z.object({
  description: z.string().max(255).optional(),
  type: z.literal('snapshot').optional(),
  labels: labelsInput.optional(),
});

const protectionInput = z.object({ delete: z.boolean().optional() });

interface Dependencies {
  database: SandboxDatabase;
  settings: SandboxSettings;
}

/** Serves `/images`: the provider's images, and the snapshots and backups of the project's servers. */
export function createImagesRouter({ database, settings }: Dependencies): express.Router {
  const router = express.Router();
  router.get('/images', async (request, response) => {
    const query = parseInput(imageQuery, request.query);
    const found = filterImages(await readAllImages(database, new Date()), query);
    const page = slicePage(sortImages(found, query.sort), query);
    response.json({ images: page.rows, meta: paginationMeta(query, page.total) });
  });
  router.get('/images/:id', async (request, response) => {
    const id = imageId(request);
    const image = (await readAllImages(database, new Date())).find((candidate) => candidate.id === id);
    if (image === undefined) throw notFound('image');
    response.json({ image });
  });
  router.put('/images/:id', async (request, response) => {
    const row = await updateImage(database, imageId(request), parseInput(updateInput, request.body));
    response.json({ image: toImage(row, new Date()) });
  });
  router.delete('/images/:id', async (request, response) => {
    await deleteImage(database, imageId(request));
    response.status(204).send();
  });
  addImageActions(router, { database, settings });
  return router;
}

function addImageActions(router: express.Router, { database, settings }: Dependencies): void {
  router.post('/servers/:id/actions/create_image', async (request, response) => {
    const input = parseInput(createImageInput, request.body);
    const made: { row: ImageRow; now: Date }[] = [];
    const command = {
      command: 'create_image',
      endsWithMachine: true,
      run: async (context: Parameters<typeof insertImage>[0]) => {
        made.push({ row: await insertImage(context, input), now: context.now });
        return stay(context);
      },
    };
    const serverId = parseId(request.params.id, 'server');
    const action = await startServerAction(
      { database, settings },
      serverId,
      command,
      orderedActionError(response),
    );
    // Image and action as they were at its start.
    const { row, now } = made[0]!;
    response.status(201).json({ image: toImage(row, now), action });
  });
  addProtectionAction(router, { database, settings });
}

function addProtectionAction(router: express.Router, { database, settings }: Dependencies): void {
  router.post('/images/:id/actions/change_protection', async (request, response) => {
    const input = parseInput(protectionInput, request.body);
    const id = imageId(request);
    const startedAt = new Date();
    const finishesAt = new Date(startedAt.getTime() + settings.serverActionMs);
    const error = orderedActionError(response);
    const rows = await database.transaction().execute(async (trx) => {
      const image = await lockImage(trx, id);
      if (error === undefined)
        await trx
          .updateTable('hetzner_images')
          .set({ protected: input.delete ?? image.protected })
          .where('id', '=', id)
          .execute();
      const resources = [{ id, type: 'image' as const }];
      return insertActions(trx, [{ command: 'change_protection', startedAt, finishesAt, resources, error }]);
    });
    response.status(201).json({ action: toAction(rows[0]!, startedAt) });
  });
}

async function updateImage(
  database: SandboxDatabase,
  id: number,
  update: z.output<typeof updateInput>,
): Promise<ImageRow> {
  return database.transaction().execute(async (trx) => {
    await lockImage(trx, id);
    // A backup that becomes a snapshot is no longer bound to its server, and outlives it.
    return trx
      .updateTable('hetzner_images')
      .set({
        description: sql`coalesce(${update.description ?? null}, description)`,
        type: sql`coalesce(${update.type ?? null}, type)`,
        labels: relabelled(update.labels),
      })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow();
  });
}

async function deleteImage(database: SandboxDatabase, id: number): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const image = await lockImage(trx, id);
    if (image.protected) throw new HetznerError(423, 'protected', 'delete is protected for this image');
    await trx.updateTable('hetzner_images').set({ deleted_at: new Date() }).where('id', '=', id).execute();
  });
}

function imageId(request: express.Request<{ id: string }>): number {
  return parseId(request.params.id, 'image');
}
