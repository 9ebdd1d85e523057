import type { RequestHandler } from 'express';
import express from 'express';
import type pg from 'pg';
import { poolBehind, type SandboxDatabase } from '../database.ts';
import { openAnswerSchemas } from './answer-schemas.ts';

export type Violation = { at: string; method: string; path: string; status: number; problem: string };

/**
 * Checks every answer against the official document before it leaves, and keeps what does not fit. The answer
 * leaves as it is; whoever reads it can then already read the violation.
 */
export function validateAnswers(pool: pg.Pool): RequestHandler {
  const schemas = openAnswerSchemas();
  // A failure to load surfaces at the first request; until then it is nobody's unhandled rejection.
  schemas.catch(() => undefined);
  return async (request, response, next) => {
    const { check } = await schemas;
    const send = response.send.bind(response);
    const { method, path } = request;
    response.send = (body?: unknown) => {
      response.send = send;
      const outcome = check(method, path, response.statusCode, body);
      recordOutcome(pool, { method, path, status: response.statusCode, ...outcome }).then(
        () => send(body),
        next,
      );
      return response;
    };
    next();
  };
}

/** How many answers were checked, and which of them did not fit the document. */
export async function readViolations(pool: pg.Pool): Promise<{ checked: number; violations: Violation[] }> {
  const checks = await pool.query<{ checked: number }>('SELECT checked::int FROM answer_checks');
  const { rows } = await pool.query(
    'SELECT at, method, path, status, problem FROM answer_violations ORDER BY id',
  );
  return {
    checked: checks.rows[0]?.checked ?? 0,
    violations: rows.map((row) => ({ ...row, at: row.at.toISOString() })),
  };
}

/** `GET /hetzner/violations`; to be mounted under `/sandbox`. */
export function createValidationRouter(database: SandboxDatabase): express.Router {
  const pool = poolBehind(database);
  const router = express.Router();
  router.get('/hetzner/violations', async (_request, response) => {
    response.json(await readViolations(pool));
  });
  return router;
}

type Outcome = { method: string; path: string; status: number; checked: boolean; problems: string[] };

async function recordOutcome(pool: pg.Pool, outcome: Outcome): Promise<void> {
  if (outcome.checked)
    await pool.query(
      `INSERT INTO answer_checks (checked) VALUES (1)
       ON CONFLICT (only_row) DO UPDATE SET checked = answer_checks.checked + 1`,
    );
  for (const problem of outcome.problems)
    await pool.query(
      'INSERT INTO answer_violations (method, path, status, problem) VALUES ($1, $2, $3, $4)',
      [outcome.method, outcome.path, outcome.status, problem],
    );
}
