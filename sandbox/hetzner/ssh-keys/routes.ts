import express from 'express';
import type pg from 'pg';
import { z } from 'zod';
import { invalidField, notFound } from '../errors.ts';
import { parseId, parseInput, resourceName } from '../input.ts';
import { type Labels, labelsInput } from '../labels.ts';
import { addNameAndLabels, createConditions, listQuery, paginationMeta, selectPage } from '../listing.ts';
import { publicKeyFingerprint } from './public-key.ts';

type SshKeyRow = {
  id: number;
  name: string;
  fingerprint: string;
  public_key: string;
  labels: Labels;
  created_at: Date;
};

const createInput = z.object({
  name: resourceName,
  public_key: z.string(),
  labels: labelsInput.default({}),
});
const updateInput = z.object({ name: resourceName.optional(), labels: labelsInput.optional() });
const keyQuery = listQuery.extend({ fingerprint: z.string().optional() });

/** `/ssh_keys`: names and keys are unique in the project; the fingerprint is the key's real one. */
export function createSshKeysRouter({ pool }: { pool: pg.Pool }): express.Router {
  const router = express.Router();
  router.get('/ssh_keys', async (request, response) => {
    response.json(await listSshKeys(pool, request.query));
  });
  router.post('/ssh_keys', async (request, response) => {
    response.status(201).json({ ssh_key: toSshKey(await insertSshKey(pool, request.body)) });
  });
  router.get('/ssh_keys/:id', async (request, response) => {
    const { rows } = await pool.query<SshKeyRow>('SELECT * FROM hetzner_ssh_keys WHERE id = $1', [
      keyId(request),
    ]);
    response.json({ ssh_key: toSshKey(found(rows[0])) });
  });
  router.put('/ssh_keys/:id', async (request, response) => {
    const update = parseInput(updateInput, request.body);
    const { rows } = await pool.query<SshKeyRow>(
      `UPDATE hetzner_ssh_keys SET name = coalesce($2, name), labels = coalesce($3, labels)
       WHERE id = $1 RETURNING *`,
      [keyId(request), update.name, update.labels],
    );
    response.json({ ssh_key: toSshKey(found(rows[0])) });
  });
  router.delete('/ssh_keys/:id', async (request, response) => {
    const { rows } = await pool.query<SshKeyRow>('DELETE FROM hetzner_ssh_keys WHERE id = $1 RETURNING *', [
      keyId(request),
    ]);
    found(rows[0]);
    response.status(204).send();
  });
  return router;
}

async function listSshKeys(pool: pg.Pool, rawQuery: unknown) {
  const query = parseInput(keyQuery, rawQuery);
  const conditions = createConditions();
  addNameAndLabels(conditions, query);
  if (query.fingerprint !== undefined)
    conditions.clauses.push(`fingerprint = ${conditions.bind(query.fingerprint)}`);
  const source = { table: 'hetzner_ssh_keys', conditions, sortable: { id: 'id', name: 'name' } };
  const page = await selectPage<SshKeyRow>(pool, source, query);
  return { ssh_keys: page.rows.map(toSshKey), meta: paginationMeta(query, page.total) };
}

async function insertSshKey(pool: pg.Pool, body: unknown): Promise<SshKeyRow> {
  const input = parseInput(createInput, body);
  const fingerprint = publicKeyFingerprint(input.public_key);
  if (fingerprint === undefined) throw invalidField('public_key', 'is not a valid SSH public key');
  const { rows } = await pool.query<SshKeyRow>(
    `INSERT INTO hetzner_ssh_keys (name, fingerprint, public_key, labels, created_at)
     VALUES ($1, $2, $3, $4, $5) RETURNING *`,
    [input.name, fingerprint, input.public_key.trim(), input.labels, new Date()],
  );
  return rows[0]!;
}

function keyId(request: express.Request<{ id: string }>): number {
  return parseId(request.params.id, 'SSH key');
}

function found(row: SshKeyRow | undefined): SshKeyRow {
  if (row === undefined) throw notFound('SSH key');
  return row;
}

function toSshKey({ created_at, ...rest }: SshKeyRow) {
  return { ...rest, created: created_at.toISOString() };
}
