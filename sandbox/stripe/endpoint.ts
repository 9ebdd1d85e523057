import { createHash } from 'node:crypto';
import type { Request, Response, Router } from 'express';
import type pg from 'pg';
import { z } from 'zod';
import { inTransaction, type Queryable } from '../database.ts';
import { embeddedKinds } from './embedded-kinds.ts';
import { invalidRequest, StripeError } from './errors.ts';
import { expand, type Kind, parseExpand } from './expand.ts';
import { parseParameters } from './parse-parameters.ts';
import { requireStrict } from './strict-schema.ts';
import { newId } from './wire.ts';

/** One API call, as the endpoints see it. */
export type Call<Input> = {
  /** The id in the path. */
  id: string;
  /** What the endpoint's table of parameters made of the form or the query. */
  input: Input;
  /** How this sandbox was reached, without a slash at the end. */
  baseUrl: string;
  /** What events say about the request that caused them. */
  request: { id: string; idempotency_key: string | null };
};

/** What an endpoint takes and gives: `answers` is a kind of object, or `kind[]` for a list of it. */
export type Route<P extends z.ZodRawShape> = { answers: string; parameters: P };

type Work<P extends z.ZodRawShape> = (db: Queryable, call: Call<z.output<z.ZodObject<P>>>) => Promise<object>;
type Mount = <P extends z.ZodRawShape>(path: string, route: Route<P>, work: Work<P>) => void;

export type Endpoints = {
  /** Says what can be expanded in a kind of object. */
  declare(object: string, kind: Kind): void;
  get: Mount;
  post: Mount;
  delete: Mount;
};

/**
 * How endpoints of the API are declared: what they take, what they do and what comes of it, apart from how they are called.
 * A parameter that is in no table gets Stripe's own error, and so does an `expand` of what cannot be.
 */
export function createEndpoints(router: Router, pool: pg.Pool): Endpoints {
  const kinds = new Map<string, Kind>(embeddedKinds);
  const mount =
    (method: 'get' | 'post' | 'delete'): Mount =>
    (path, { answers, parameters }, work) => {
      const schema = z.strictObject(parameters);
      requireStrict(schema, path);
      router[method](path, async (request: Request, response: Response) => {
        const { expand: wanted, ...given }: Record<string, unknown> =
          method === 'post' ? (request.body ?? {}) : { ...request.query, ...request.body };
        const call = toCall(request, response, parseParameters(schema, given));
        const paths = parseExpand(kinds, answers, wanted);
        const answer = async (db: Queryable) => expand(db, kinds, answers, await work(db, call), paths);
        if (method === 'get') response.json(await answer(pool));
        else await write(pool, request, response, call, answer);
      });
    };
  return {
    declare: (object, kind) => kinds.set(object, kind),
    get: mount('get'),
    post: mount('post'),
    delete: mount('delete'),
  };
}

/** What is changed, the events about it and the answer to repeats are committed together, before the answer. */
async function write(
  pool: pg.Pool,
  request: Request,
  response: Response,
  call: Call<unknown>,
  work: (db: Queryable) => Promise<object>,
): Promise<void> {
  const { answer, replayed } = await inTransaction(pool, (db) => once(db, request, call, () => work(db)));
  if (replayed) response.set('Idempotent-Replayed', 'true');
  response.json(answer);
}

export function baseUrlOf(request: Request): string {
  return `${request.protocol}://${request.get('host') ?? 'localhost'}`;
}

function toCall<Input>(request: Request, response: Response, input: Input): Call<Input> {
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
  call: Call<unknown>,
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
