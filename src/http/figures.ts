import { z } from 'zod';
import { countFleet } from '../agents/fleet.ts';
import { listFailureReasons, readProvisionFigures } from '../operations/figures.ts';
import { endpoint } from './endpoint.ts';

const REASONS_SHOWN = 10;

const provisions = z.object({
  succeeded: z.int(),
  failed: z.int(),
  medianSeconds: z
    .number()
    .nullable()
    .meta({ description: 'From the payment to running, of those that succeeded; null: none did' }),
  slowSeconds: z.number().nullable().meta({ description: 'The 95th percentile of the same' }),
});

const figuresJson = z
  .object({
    fleet: z.record(z.string(), z.int()).meta({ description: 'Agents by status' }),
    provisions: provisions.meta({ description: 'Provisions that ended within the last 24 hours' }),
    hours: z.array(provisions.extend({ hour: z.iso.datetime() })),
    failures: z.array(
      z.object({
        kind: z.string(),
        failedStep: z.string().nullable(),
        error: z.string(),
        count: z.int(),
        last: z.iso.datetime(),
        agentId: z.string(),
      }),
    ),
  })
  .meta({ id: 'Figures' });

export const showFigures = endpoint({
  id: 'showFigures',
  method: 'get',
  path: '/api/figures',
  summary: 'The fleet by status, and the last 24 hours: provisions, their times, and why operations failed',
  access: 'viewer',
  answers: { 200: { description: 'The figures', schema: figuresJson } },
  handle: async ({ response, deps: { database } }) => {
    const [fleet, { hours, total }, failures] = await Promise.all([
      countFleet(database),
      readProvisionFigures(database),
      listFailureReasons(database, REASONS_SHOWN),
    ]);
    response.json({
      fleet: Object.fromEntries(fleet.byStatus),
      provisions: total,
      hours: hours.map(({ hour, ...rest }) => ({ ...rest, hour: hour.toISOString() })),
      failures: failures.map(({ last, ...rest }) => ({ ...rest, last: last.toISOString() })),
    });
  },
});
