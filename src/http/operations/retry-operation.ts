import { retryOperation as retry } from '../../operations/retry.ts';
import { endpoint } from '../endpoint.ts';
import { acceptedAnswer, answerAccepted } from './accepted.ts';
import { operationParams } from './operation-json.ts';

export const retryOperation = endpoint({
  method: 'post',
  path: '/api/operations/{operationId}/retry',
  summary: 'Retry a failed or cancelled operation',
  access: 'operator',
  params: operationParams,
  answers: {
    202: acceptedAnswer,
    409: { description: 'The operation has not failed, or the agent’s status does not allow it' },
  },
  handle: async ({ params, response, deps: { database, queue } }) => {
    const operation = await database
      .transaction()
      .execute((trx) => retry(trx, queue, { operationId: params.operationId, actor: 'operator' }));
    await answerAccepted(response, database, operation);
  },
});
