import { z } from 'zod';
import { formatFamily } from '../../telemetry/families.ts';
import { readProcessFamilies } from '../../telemetry/process-metrics.ts';
import { businessNow } from '../deps.ts';
import { endpoint } from '../endpoint.ts';
import { readDatabaseFamilies, withOldNames } from './database-families.ts';

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export const metrics = endpoint({
  id: 'metrics',
  method: 'get',
  path: '/metrics',
  summary: 'Counts and durations in Prometheus’ text format: the installation’s, and this process’s own',
  access: 'viewer',
  answers: {
    200: { description: 'Metrics', contentType: 'text/plain; version=0.0.4', schema: z.string() },
  },
  handle: async ({ response, deps }) => {
    const { database, watched } = deps;
    const installation = await readDatabaseFamilies({ database, watched, at: businessNow(deps) });
    const families = [...withOldNames(installation), ...(await readProcessFamilies())];
    response.set('content-type', METRICS_TYPE).send(families.map(formatFamily).join(''));
  },
});
