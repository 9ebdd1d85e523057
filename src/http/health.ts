import { z } from 'zod';
import { isDatabaseUnavailable } from '../database/connect.ts';
import { databaseVersion, SCHEMA_VERSION } from '../database/migrations.ts';
import { errorMessage } from '../errors.ts';
import { type InstallationCheck, readChecks } from '../reconcile/checks/store.ts';
import type { HttpDeps } from './deps.ts';
import { endpoint } from './endpoint.ts';
import { sendProblem } from './problem.ts';

export const liveness = endpoint({
  id: 'liveness',
  method: 'get',
  path: '/healthz',
  summary: 'Whether the process responds',
  access: 'anyone',
  answers: { 200: { description: 'It does', schema: z.object({ status: z.literal('ok') }) } },
  handle: ({ response }) => {
    response.json({ status: 'ok' });
  },
});

const result = z
  .string()
  .meta({ description: '`ok`, or why not; what is not makes 503 only where orders wait for it' });

const detailed = z.object({
  checks: z.array(
    z.object({
      name: z.string(),
      ok: z.boolean(),
      detail: z.string(),
      cure: z.string().nullable().meta({ description: 'How an operator fixes it' }),
    }),
  ),
});

export const readiness = endpoint({
  id: 'readiness',
  method: 'get',
  path: '/readyz',
  summary:
    'Whether requests can be served and orders executed: database, queue, schema version, and configuration problems that workers report. `?verbose` needs the operator’s token and shows every check',
  access: 'anyone',
  query: z.object({ verbose: z.string().max(10).optional() }),
  answers: {
    200: {
      description: 'They can',
      schema: z.union([
        z.object({ status: z.literal('ready'), checks: z.record(z.string(), result) }),
        detailed,
      ]),
    },
    503: { description: 'Not now; `checks` says why' },
  },
  handle: async ({ response, query, deps }) => {
    const checks = await listChecks(deps);
    const wrong = checks.filter(({ blocks }) => blocks);
    if (query.verbose !== undefined) {
      const shown = checks.map(({ name, ok, detail, cure }) => ({ name, ok, detail, cure }));
      response.status(wrong.length === 0 ? 200 : 503).json({ checks: shown });
      return;
    }
    // What is wrong at the clouds is for the operator: anybody may ask here.
    const results = Object.fromEntries(checks.map((one) => [one.name, one.ok ? 'ok' : openly(one)]));
    if (wrong.length === 0) {
      response.json({ status: 'ready', checks: results });
      return;
    }
    const detail = wrong.map((one) => `${one.name}: ${openly(one)}`).join('; ');
    sendProblem(response, { status: 503, detail, headers: { 'retry-after': '5' } }, { checks: results });
  },
});

const OURS = ['database', 'queue', 'schema'];
const openly = ({ name, detail }: InstallationCheck) => (OURS.includes(name) ? detail : 'needs attention');

/** Lists the API’s own checks, and those that the workers record. */
export async function listChecks({ database, queue, log }: HttpDeps): Promise<InstallationCheck[]> {
  const checks = [one('queue', queue.isReady() ? 'ok' : 'not started')];
  try {
    const version = await databaseVersion(database);
    const schema = version === SCHEMA_VERSION ? 'ok' : `is ${version ?? 'empty'}, expected ${SCHEMA_VERSION}`;
    checks.unshift(one('database', 'ok'));
    checks.push(one('schema', schema));
    return schema === 'ok' ? [...checks, ...(await readChecks(database))] : checks;
  } catch (error) {
    log.warn({ event: 'ready.failed', error: errorMessage(error) }, 'the database is not ready');
    const reason = isDatabaseUnavailable(error) ? 'unavailable' : 'does not answer as expected';
    return [
      one('database', reason),
      ...checks.filter(({ name }) => name === 'queue'),
      one('schema', 'unknown'),
    ];
  }
}

const CURES: Record<string, string> = {
  database: 'Check that Postgres is up and that DATABASE_URL points to it. The service recovers by itself.',
  queue: 'The queue starts with the service: check its log.',
  schema: 'Start the newest version of the service, which migrates the schema.',
};

function one(name: string, detail: string): InstallationCheck {
  const ok = detail === 'ok';
  return { name, ok, blocks: !ok, detail, cure: ok ? null : CURES[name]! };
}
