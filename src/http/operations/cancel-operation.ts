import { cancelOperation as cancel } from '../../operations/cancel.ts';
import { endpoint } from '../endpoint.ts';
import { acceptedAnswer, answerAccepted } from './accepted.ts';
import { operationParams } from './operation-json.ts';

export const cancelOperation = endpoint({
  method: 'post',
  path: '/api/operations/{operationId}/cancel',
  summary: 'Cancel an unfinished operation',
  access: 'operator',
  params: operationParams,
  answers: {
    202: acceptedAnswer,
    409: { description: 'The operation has ended, or frees billed resources' },
  },
  handle: async ({ params, response, deps: { database, queue } }) => {
    const operation = await database
      .transaction()
      .execute((trx) => cancel(trx, queue, { operationId: params.operationId, actor: 'operator' }));
    await answerAccepted(response, database, operation);
  },
});
