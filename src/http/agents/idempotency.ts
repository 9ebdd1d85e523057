import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { z } from 'zod';
import type { Transaction } from '../../database/connect.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { getOperation } from '../../operations/requests.ts';
import { HttpError } from '../problem.ts';

export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 printable characters without spaces')
  .meta({ description: 'Requests with the same key and the same body get the same operation' });

/**
 * Calls `run` once per key, in the caller's transaction. The same key and body get the same operation, even
 * for concurrent requests.
 * @throws HttpError 422 if the key was used with another body
 */
export async function once(
  trx: Transaction,
  { key, request }: { key: string | undefined; request: Record<string, unknown> },
  run: () => Promise<OperationRow>,
): Promise<OperationRow> {
  if (key === undefined) return run();
  const hash = createHash('sha256')
    .update(JSON.stringify(Object.entries(request).sort(([a], [b]) => (a < b ? -1 : 1))))
    .digest('hex');
  await sql`select pg_advisory_xact_lock(hashtextextended(${`idempotency ${key}`}, 0))`.execute(trx);
  const earlier = await trx
    .selectFrom('idempotency_keys')
    .selectAll()
    .where('key', '=', key)
    .executeTakeFirst();
  if (earlier !== undefined) {
    if (earlier.request_hash !== hash) {
      throw new HttpError(422, 'This Idempotency-Key was used with another body');
    }
    return getOperation(trx, earlier.operation_id);
  }
  const operation = await run();
  await trx
    .insertInto('idempotency_keys')
    .values({ key, request_hash: hash, operation_id: operation.operation_id })
    .execute();
  return operation;
}
