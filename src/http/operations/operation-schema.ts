import { z } from 'zod';
import { EXECUTORS } from '../../config/executor-name.ts';
import { OPERATION_STATUSES, type OperationKind } from '../../operations/states.ts';

const time = z.iso.datetime();

/**
 * The schema of an operation of one of these kinds. The service takes them from the definitions; the commands
 * from a list, because the definitions load all that the runbooks use.
 */
export const operationSchema = (kinds: readonly OperationKind[]) =>
  z.object({
    operationId: z.guid(),
    agentId: z.string(),
    kind: z.enum(kinds),
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
  });
