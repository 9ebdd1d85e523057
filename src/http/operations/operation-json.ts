import { z } from 'zod';
import { EXECUTORS } from '../../config/executor-name.ts';
import { OPERATION_STATUSES } from '../../operations/states.ts';
import '../../runbooks/all.ts';
import { operationKinds } from '../../operations/registry.ts';

export const operationParams = z.object({ operationId: z.guid() });

const time = z.iso.datetime();

export const operationJson = z
  .object({
    operationId: z.guid(),
    agentId: z.string(),
    kind: z.enum(operationKinds()),
    status: z.enum(OPERATION_STATUSES),
    step: z.string().nullable(),
    attempt: z.int().meta({ description: 'The number of tries so far' }),
    retryCount: z.int().meta({ description: 'The number of failed tries' }),
    executor: z.enum(EXECUTORS),
    stripeEventId: z.string().nullable(),
    workflowRunId: z.string().nullable(),
    error: z.string().nullable(),
    failedStep: z.string().nullable(),
    createdAt: time,
    startedAt: time.nullable(),
    finishedAt: time.nullable(),
    timeline: z.array(
      z.object({
        step: z.string(),
        startedAt: time,
        seconds: z.number().nullable().meta({ description: 'Null while the step is in progress' }),
      }),
    ),
  })
  .meta({ id: 'Operation' });

export type OperationJson = z.input<typeof operationJson>;
