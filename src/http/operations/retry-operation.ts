import { findOperation, isForPrograms } from '../../operations/registry.ts';
import { getOperation } from '../../operations/requests.ts';
import { retryOperation as retry } from '../../operations/retry.ts';
import { actorOf, refuseForbidden } from '../actor.ts';
import { endpoint } from '../endpoint.ts';
import { limitPrograms } from '../program-limit.ts';
import { acceptedAnswer, answerAccepted } from './accepted.ts';
import { operationParams } from './operation-json.ts';

export const retryOperation = endpoint({
  id: 'retryOperation',
  method: 'post',
  path: '/api/operations/{operationId}/retry',
  summary: 'Retry a failed or cancelled operation',
  access: 'operator',
  isForPrograms: true,
  params: operationParams,
  answers: {
    202: acceptedAnswer,
    409: { description: 'The operation has not failed, or the agent’s status does not allow it' },
  },
  handle: async ({ params, request, response, deps: { database, queue } }) => {
    const actor = actorOf(request, response);
    const { kind } = await getOperation(database, params.operationId);
    refuseForbidden(request, response, {
      least: 'operator',
      isForPrograms: isForPrograms(findOperation(kind) ?? {}),
    });
    const operation = await database.transaction().execute(async (trx) => {
      await limitPrograms(trx, request, response);
      return retry(trx, queue, { operationId: params.operationId, actor });
    });
    await answerAccepted(response, database, operation);
  },
});
