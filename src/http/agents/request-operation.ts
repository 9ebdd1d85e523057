import { z } from 'zod';
import { requestOperation as request } from '../../operations/requests.ts';
import type { OperationKind } from '../../operations/states.ts';
import { type Endpoint, endpoint } from '../endpoint.ts';
import { acceptedAnswer, answerAccepted } from '../operations/accepted.ts';
import { agentParams } from './agent-json.ts';

const VERBS = [
  'start',
  'stop',
  'restart',
  'refresh',
  'reconfigure',
  'rebuild',
  'destroy',
] as const satisfies readonly OperationKind[];

/** No body says the same as an empty one. */
const nothing = z
  .strictObject(
    {},
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  )
  .optional();

/** One route for each operation that a person can ask for; what the agent's state allows is decided where the row is locked. */
export const operationRequests: readonly Endpoint[] = VERBS.map((kind) =>
  endpoint({
    method: 'post',
    path: `/api/agents/{agentId}/${kind}`,
    summary: `Ask for a ${kind}`,
    access: 'operator',
    params: agentParams,
    body: nothing,
    answers: {
      202: acceptedAnswer,
      409: { description: 'The agent’s state does not allow it, or something of the kind is under way' },
    },
    handle: async ({ params, response, deps: { database, queue } }) => {
      const operation = await database
        .transaction()
        .execute((trx) => request(trx, queue, { agentId: params.agentId, kind, actor: 'operator' }));
      await answerAccepted(response, database, operation);
    },
  }),
);
