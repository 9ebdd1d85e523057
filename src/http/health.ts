import { z } from 'zod';
import { isDatabaseUnavailable } from '../database/connect.ts';
import { databaseVersion, SCHEMA_VERSION } from '../database/migrations.ts';
import { errorMessage } from '../errors.ts';
import type { HttpDeps } from './deps.ts';
import { endpoint } from './endpoint.ts';
import { sendProblem } from './problem.ts';

export const liveness = endpoint({
  method: 'get',
  path: '/healthz',
  summary: 'Whether the process answers',
  access: 'anyone',
  answers: { 200: { description: 'It does', schema: z.object({ status: z.literal('ok') }) } },
  handle: ({ response }) => {
    response.json({ status: 'ok' });
  },
});

const check = z.string().meta({ description: '`ok`, or why not' });

export const readiness = endpoint({
  method: 'get',
  path: '/readyz',
  summary: 'Whether requests can be served: database, queue, schema version',
  access: 'anyone',
  answers: {
    200: {
      description: 'They can',
      schema: z.object({
        status: z.literal('ready'),
        checks: z.object({ database: check, queue: check, schema: check }),
      }),
    },
    503: { description: 'Not now; `checks` says why' },
  },
  handle: async ({ response, deps }) => {
    const checks = await runChecks(deps);
    const wrong = Object.entries(checks).filter(([, result]) => result !== 'ok');
    if (wrong.length === 0) {
      response.json({ status: 'ready', checks });
      return;
    }
    const detail = wrong.map(([name, reason]) => `${name}: ${reason}`).join('; ');
    sendProblem(response, { status: 503, detail, headers: { 'retry-after': '5' } }, { checks });
  },
});

async function runChecks({
  database,
  queue,
  log,
}: HttpDeps): Promise<Record<'database' | 'queue' | 'schema', string>> {
  const queueState = queue.isReady() ? 'ok' : 'not started';
  try {
    const version = await databaseVersion(database);
    const schema =
      version === SCHEMA_VERSION ? 'ok' : `is ${version ?? 'empty'}, needed is ${SCHEMA_VERSION}`;
    return { database: 'ok', queue: queueState, schema };
  } catch (error) {
    log.warn({ event: 'ready.failed', error: errorMessage(error) }, 'the database does not answer');
    const reason = isDatabaseUnavailable(error) ? 'unavailable' : 'does not answer as expected';
    return { database: reason, queue: queueState, schema: 'unknown' };
  }
}
