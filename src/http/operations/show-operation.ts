import { getOperation } from '../../operations/requests.ts';
import { endpoint } from '../endpoint.ts';
import { operationJson, operationParams } from './operation-json.ts';
import { presentOperations } from './present-operations.ts';

export const showOperation = endpoint({
  id: 'showOperation',
  method: 'get',
  path: '/api/operations/{operationId}',
  summary: 'One operation with its timeline',
  access: 'viewer',
  params: operationParams,
  answers: { 200: { description: 'The operation', schema: operationJson } },
  handle: async ({ params, response, deps: { database } }) => {
    const row = await getOperation(database, params.operationId);
    const [operation] = await presentOperations(database, [row]);
    response.json(operation);
  },
});
