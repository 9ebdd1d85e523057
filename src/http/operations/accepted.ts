import type { Response } from 'express';
import { z } from 'zod';
import type { Database } from '../../database/connect.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { operationJson } from './operation-json.ts';
import { presentOperations } from './present-operations.ts';

export const acceptedAnswer = {
  description: 'Accepted; the operation that does it',
  schema: operationJson,
  headers: z.object({ Location: z.string().meta({ description: 'Where the operation is' }) }),
};

/** Answers 202 with the operation and its URL. */
export async function answerAccepted(
  response: Response,
  database: Database,
  row: OperationRow,
): Promise<void> {
  const [operation] = await presentOperations(database, [row]);
  response.status(202).location(`/api/operations/${row.operation_id}`).json(operation);
}
