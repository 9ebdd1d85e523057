import { createHash } from 'node:crypto';
import type { Request } from 'express';
import { sql } from 'kysely';
import type { SandboxTransaction } from '../database.ts';
import { invalidRequest, StripeError } from './errors.ts';

const KEPT_MS = 24 * 3600 * 1000;

/**
 * Runs `work`, unless the same POST with the same Idempotency-Key has succeeded within a day: then it returns
 * that request's answer.
 */
export async function runOnce(
  trx: SandboxTransaction,
  request: Request,
  key: string | null,
  work: () => Promise<object>,
): Promise<{ answer: object; replayed: boolean }> {
  if (key === null || request.method !== 'POST') return { answer: await work(), replayed: false };
  if (key.length > 255) throw invalidRequest('Idempotency keys may be up to 255 characters long.');
  await lockKey(trx, key);
  const fingerprint = toFingerprint(request);
  const previous = await findAnswer(trx, key);
  if (previous === undefined) {
    const answer = await work();
    await storeAnswer(trx, key, fingerprint, answer);
    return { answer, replayed: false };
  }
  if (previous.fingerprint !== fingerprint) throw keyOfAnotherRequest();
  return { answer: previous.answer, replayed: true };
}

async function findAnswer(trx: SandboxTransaction, key: string) {
  return trx
    .selectFrom('stripe_idempotency')
    .select(['fingerprint', 'answer'])
    .where('key', '=', key)
    .where('created_at', '>', new Date(Date.now() - KEPT_MS))
    .executeTakeFirst();
}

async function storeAnswer(
  trx: SandboxTransaction,
  key: string,
  fingerprint: string,
  answer: object,
): Promise<void> {
  const row = { fingerprint, answer: JSON.stringify(answer), created_at: new Date() };
  await trx
    .insertInto('stripe_idempotency')
    .values({ key, ...row })
    .onConflict((conflict) => conflict.column('key').doUpdateSet(row))
    .execute();
}

async function lockKey(trx: SandboxTransaction, key: string): Promise<void> {
  const { rows } = await sql<{
    locked: boolean;
  }>`select pg_try_advisory_xact_lock(hashtext('stripe-idempotency'), hashtext(${key})) as locked`.execute(
    trx,
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

function toFingerprint(request: Request): string {
  const text = `${request.method} ${request.baseUrl}${request.path} ${JSON.stringify(request.body ?? {})}`;
  return createHash('sha256').update(text).digest('hex');
}
