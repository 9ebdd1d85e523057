import type { Request, Response } from 'express';
import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { comesFromProgram } from './actor.ts';
import { HttpError } from './problem.ts';

/**
 * How many operations all programs together may ask for within an hour. A model that is talked into it by
 * what it reads would restart the whole fleet, again and again; one that helps a person needs a few.
 */
export const PROGRAM_OPERATIONS_PER_HOUR = 60;

/**
 * Refuses a program one operation more than all may ask for. Call it in the transaction that requests the
 * operation: the audit log, which it writes to, is what counts.
 * @throws HttpError 429 that says when to try again
 */
export async function limitPrograms(trx: Transaction, request: Request, response: Response): Promise<void> {
  if (!comesFromProgram(request, response)) return;
  // One at a time, or two would both find the last one free.
  await sql`select pg_advisory_xact_lock(hashtextextended('program operations', 0))`.execute(trx);
  // The condition is that of the index.
  const { rows } = await sql<{ seconds: number }>`
    select ceil(extract(epoch from at + interval '1 hour' - now()))::int as seconds from audit_log
    where operation_id is not null and (actor = 'program' or actor like '% via %')
      and at > now() - interval '1 hour'
    order by at desc offset ${PROGRAM_OPERATIONS_PER_HOUR - 1} limit 1`.execute(trx);
  const [oldest] = rows;
  if (oldest === undefined) return;
  const seconds = Math.max(1, oldest.seconds);
  const detail = `Programs have asked for ${PROGRAM_OPERATIONS_PER_HOUR} operations within an hour, as many as they may: try again in ${seconds} seconds, or do it on the page`;
  throw new HttpError(429, detail, { 'retry-after': String(seconds) }, 'too-many-by-programs');
}
