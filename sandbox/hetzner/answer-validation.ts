import type { RequestHandler } from 'express';
import express from 'express';
import { sql } from 'kysely';
import type { SandboxDatabase } from '../database.ts';
import { type CheckedAnswer, openAnswerSchemas } from './answer-schemas.ts';

export interface Violation {
  at: string;
  method: string;
  path: string;
  status: number;
  problem: string;
}

/**
 * Checks every answer against the official document before it is sent, and records violations. The
 * answer is sent unchanged; a client that has read it can already read the violation.
 */
export function validateAnswers(database: SandboxDatabase): RequestHandler {
  const schemas = openAnswerSchemas();
  // A failure to load surfaces at the first request; until then it must not count as an unhandled rejection.
  schemas.catch(() => undefined);
  return async (request, response, next) => {
    const { check } = await schemas;
    const send = response.send.bind(response);
    const { method, path } = request;
    response.send = (body?: unknown) => {
      response.send = send;
      const outcome = check(method, path, response.statusCode, body);
      recordOutcome(database, { method, path, status: response.statusCode, ...outcome }).then(
        () => send(body),
        next,
      );
      return response;
    };
    next();
  };
}

/** Reads how many answers were checked, and the violations. */
export async function readViolations(
  database: SandboxDatabase,
): Promise<{ checked: number; violations: Violation[] }> {
  const counted = await database
    .selectFrom('answer_checks')
    .select(sql<number>`checked::int`.as('checked'))
    .executeTakeFirst();
  const rows = await database
    .selectFrom('answer_violations')
    .select(['at', 'method', 'path', 'status', 'problem'])
    .orderBy('id')
    .execute();
  return {
    checked: counted?.checked ?? 0,
    violations: rows.map((row) => ({ ...row, at: row.at.toISOString() })),
  };
}

/** Serves `GET /hetzner/violations`. Mount it under `/sandbox`. */
export function createValidationRouter(database: SandboxDatabase): express.Router {
  const router = express.Router();
  router.get('/hetzner/violations', async (_request, response) => {
    response.json(await readViolations(database));
  });
  return router;
}

interface Outcome extends CheckedAnswer {
  method: string;
  path: string;
  status: number;
}

async function recordOutcome(
  database: SandboxDatabase,
  { checked, problems, method, path, status }: Outcome,
): Promise<void> {
  if (checked)
    await database
      .insertInto('answer_checks')
      .values({ checked: 1 })
      .onConflict((conflict) =>
        conflict.column('only_row').doUpdateSet((eb) => ({ checked: eb('answer_checks.checked', '+', 1) })),
      )
      .execute();
  if (problems.length > 0)
    await database
      .insertInto('answer_violations')
      .values(problems.map((problem) => ({ method, path, status, problem })))
      .execute();
}
