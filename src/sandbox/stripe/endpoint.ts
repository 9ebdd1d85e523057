import { createHash } from 'node:crypto';
import type { Request, Response, Router } from 'express';
import type pg from 'pg';
import { inTransaction, type Queryable } from '../database.ts';
import { invalidRequest, StripeError } from './errors.ts';
import { expand } from './expand.ts';
import { newId } from './wire.ts';

/** One API call, as the endpoints see it. */
export type Call = {
  /** The id in the path. */
  id: string;
  /** The parsed form or query, without `expand`. */
  input: Record<string, unknown>;
  /** How this sandbox was reached, without a slash at the end. */
  baseUrl: string;
  /** What events say about the request that caused them. */
  request: { id: string; idempotency_key: string | null };
};

type Work = (db: Queryable, call: Call) => Promise<object>;

export type Endpoints = {
  get(path: string, work: Work): void;
  post(path: string, work: Work): void;
  delete(path: string, work: Work): void;
};

/** How endpoints of the API are declared: what they do, apart from how they are called and answer. */
export function createEndpoints(router: Router, pool: pg.Pool): Endpoints {
  const read = (work: Work) => async (request: Request, response: Response) => {
    const { expand: paths, ...input } = request.query;
    response.json(await expand(pool, await work(pool, toCall(request, response, input)), paths));
  };
  const write = (work: Work) => async (request: Request, response: Response) => {
    const { expand: paths, ...input }: Record<string, unknown> = request.body ?? {};
    const call = toCall(request, response, input);
    // What is changed, the events about it and the answer to repeats are committed together, before the answer.
    const { answer, replayed } = await inTransaction(pool, (db) =>
      once(db, request, call, async () => expand(db, await work(db, call), paths)),
    );
    if (replayed) response.set('Idempotent-Replayed', 'true');
    response.json(answer);
  };
  return {
    get: (path, work) => router.get(path, read(work)),
    post: (path, work) => router.post(path, write(work)),
    delete: (path, work) => router.delete(path, write(work)),
  };
}

export function baseUrlOf(request: Request): string {
  return `${request.protocol}://${request.get('host') ?? 'localhost'}`;
}

function toCall(request: Request, response: Response, input: Record<string, unknown>): Call {
  const id = newId('req', 14);
  const idempotencyKey = request.get('idempotency-key') ?? null;
  response.set('Request-Id', id);
  if (idempotencyKey !== null) response.set('Idempotency-Key', idempotencyKey);
  return {
    id: String(request.params.id ?? ''),
    input,
    baseUrl: baseUrlOf(request),
    request: { id, idempotency_key: idempotencyKey },
  };
}

/** The same POST with the same Idempotency-Key within a day gets the first one's answer, and nothing happens again. */
async function once(
  db: Queryable,
  request: Request,
  call: Call,
  work: () => Promise<object>,
): Promise<{ answer: object; replayed: boolean }> {
  const key = call.request.idempotency_key;
  if (key === null || request.method !== 'POST') return { answer: await work(), replayed: false };
  if (key.length > 255) throw invalidRequest('Idempotency keys may be up to 255 characters long.');
  await lockKey(db, key);
  const fingerprint = fingerprintOf(request);
  const { rows } = await db.query<{ fingerprint: string; answer: object }>(
    'SELECT fingerprint, answer FROM stripe_idempotency WHERE key = $1 AND created_at > $2',
    [key, new Date(Date.now() - 24 * 3600 * 1000)],
  );
  if (rows[0]) {
    if (rows[0].fingerprint !== fingerprint) throw keyOfAnotherRequest();
    return { answer: rows[0].answer, replayed: true };
  }
  const answer = await work();
  await db.query(
    `INSERT INTO stripe_idempotency (key, fingerprint, answer, created_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (key) DO UPDATE SET fingerprint = excluded.fingerprint, answer = excluded.answer,
       created_at = excluded.created_at`,
    [key, fingerprint, JSON.stringify(answer), new Date()],
  );
  return { answer, replayed: false };
}

async function lockKey(db: Queryable, key: string): Promise<void> {
  const { rows } = await db.query<{ locked: boolean }>(
    "SELECT pg_try_advisory_xact_lock(hashtext('stripe-idempotency'), hashtext($1)) AS locked",
    [key],
  );
  if (rows[0]?.locked) return;
  throw new StripeError(409, {
    type: 'invalid_request_error',
    code: 'idempotency_key_in_use',
    message: 'There is currently another in-progress request using this Idempotency-Key.',
  });
}

function keyOfAnotherRequest(): StripeError {
  return new StripeError(400, {
    type: 'idempotency_error',
    message:
      'Keys for idempotent requests can only be used with the same parameters they were first used with.',
  });
}

function fingerprintOf(request: Request): string {
  const text = `${request.method} ${request.baseUrl}${request.path} ${JSON.stringify(request.body ?? {})}`;
  return createHash('sha256').update(text).digest('hex');
}
