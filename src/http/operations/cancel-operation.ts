import { cancelOperation as cancel } from '../../operations/cancel.ts';
import { actorOf } from '../actor.ts';
import { endpoint } from '../endpoint.ts';
import { acceptedAnswer, answerAccepted } from './accepted.ts';
import { operationParams } from './operation-json.ts';

export const cancelOperation = endpoint({
  id: 'cancelOperation',
  method: 'post',
  path: '/api/operations/{operationId}/cancel',
  summary: 'Cancel an unfinished operation',
  access: 'operator',
  params: operationParams,
  answers: {
    202: acceptedAnswer,
    409: { description: 'The operation has ended, or frees billed resources' },
  },
  handle: async ({ params, request, response, deps: { database, queue } }) => {
    const actor = actorOf(request, response);
    const operation = await database
      .transaction()
      .execute((trx) => cancel(trx, queue, { operationId: params.operationId, actor }));
    await answerAccepted(response, database, operation);
  },
});
