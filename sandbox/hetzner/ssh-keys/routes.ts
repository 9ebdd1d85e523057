import express from 'express';
import { type Selectable, sql } from 'kysely';
import { z } from 'zod';
import type { SandboxDatabase } from '../../database.ts';
import { invalidField, notFound } from '../errors.ts';
import { parseId, parseInput, resourceName } from '../input.ts';
import { labelsInput } from '../labels.ts';
import { listQuery, nameAndLabels, paginationMeta, selectPage } from '../listing.ts';
import type { SshKeyTable } from '../tables.ts';
import { renamed } from '../updates.ts';
import { publicKeyFingerprint } from './public-key.ts';

type SshKeyRow = Selectable<SshKeyTable>;

const createInput = z.object({
  name: resourceName,
  public_key: z.string(),
  labels: labelsInput.default({}),
});
const updateInput = z.object({ name: resourceName.optional(), labels: labelsInput.optional() });
const keyQuery = listQuery.extend({ fingerprint: z.string().optional() });

const SORTABLE = { id: sql.ref('id'), name: sql.ref('name') };

/** Serves `/ssh_keys`. Names and keys are unique in the project; the fingerprint is the key's real one. */
export function createSshKeysRouter({ database }: { database: SandboxDatabase }): express.Router {
  const router = express.Router();
  router.get('/ssh_keys', async (request, response) => {
    response.json(await listSshKeys(database, request.query));
  });
  router.post('/ssh_keys', async (request, response) => {
    response.status(201).json({ ssh_key: toSshKey(await insertSshKey(database, request.body)) });
  });
  router.get('/ssh_keys/:id', async (request, response) => {
    const select = database.selectFrom('hetzner_ssh_keys').selectAll().where('id', '=', keyId(request));
    response.json({ ssh_key: toSshKey(found(await select.executeTakeFirst())) });
  });
  router.put('/ssh_keys/:id', async (request, response) => {
    const update = database
      .updateTable('hetzner_ssh_keys')
      .set(renamed(parseInput(updateInput, request.body)))
      .where('id', '=', keyId(request))
      .returningAll();
    response.json({ ssh_key: toSshKey(found(await update.executeTakeFirst())) });
  });
  router.delete('/ssh_keys/:id', async (request, response) => {
    const remove = database.deleteFrom('hetzner_ssh_keys').where('id', '=', keyId(request)).returningAll();
    found(await remove.executeTakeFirst());
    response.status(204).send();
  });
  return router;
}

async function listSshKeys(database: SandboxDatabase, rawQuery: unknown) {
  const query = parseInput(keyQuery, rawQuery);
  const { fingerprint } = query;
  const select = database
    .selectFrom('hetzner_ssh_keys')
    .selectAll()
    .where(nameAndLabels(query))
    .$if(fingerprint !== undefined, (keys) => keys.where('fingerprint', '=', fingerprint!));
  const page = await selectPage(select, SORTABLE, query);
  return { ssh_keys: page.rows.map(toSshKey), meta: paginationMeta(query, page.total) };
}

async function insertSshKey(database: SandboxDatabase, body: unknown): Promise<SshKeyRow> {
  const input = parseInput(createInput, body);
  const fingerprint = publicKeyFingerprint(input.public_key);
  if (fingerprint === undefined) throw invalidField('public_key', 'is not a valid SSH public key');
  return database
    .insertInto('hetzner_ssh_keys')
    .values({
      name: input.name,
      fingerprint,
      public_key: input.public_key.trim(),
      labels: JSON.stringify(input.labels),
      created_at: new Date(),
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}

function keyId(request: express.Request<{ id: string }>): number {
  return parseId(request.params.id, 'SSH key');
}

function found(row: SshKeyRow | undefined): SshKeyRow {
  if (row === undefined) throw notFound('SSH key');
  return row;
}

function toSshKey({ created_at, project: _, ...rest }: SshKeyRow) {
  return { ...rest, created: created_at.toISOString() };
}
