import { z } from 'zod';
import '../../runbooks/all.ts';
import { operationKinds } from '../../operations/registry.ts';
import { operationSchema } from './operation-schema.ts';

export const operationParams = z.object({ operationId: z.guid() });

export const operationJson = operationSchema(operationKinds()).meta({ id: 'Operation' });

export type OperationJson = z.input<typeof operationJson>;
