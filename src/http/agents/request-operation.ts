import { z } from 'zod';
import '../../runbooks/all.ts';
import { isForPrograms, leastRoleFor, requestableOperations } from '../../operations/registry.ts';
import { requestOperation as request } from '../../operations/requests.ts';
import { actorOf } from '../actor.ts';
import { type Endpoint, endpoint } from '../endpoint.ts';
import { acceptedAnswer, answerAccepted } from '../operations/accepted.ts';
import { limitPrograms } from '../program-limit.ts';
import { agentParams } from './agent-json.ts';

type Operation = ReturnType<typeof requestableOperations>[number];

/** A route for each requestable kind of operation. The agent's status is checked later, under its lock. */
export const operationRequests: readonly Endpoint[] = requestableOperations().map((operation) =>
  endpoint({
    id: `${operation.kind}Agent`,
    method: 'post',
    path: `/api/agents/{agentId}/${operation.kind}`,
    summary: operation.summary ?? `Ask for a ${operation.kind}`,
    access: leastRoleFor(operation),
    isForPrograms: isForPrograms(operation),
    params: agentParams,
    body: toBodySchema(operation),
    answers: { 202: acceptedAnswer, 409: { description: describeConflict(operation) } },
    handle: async ({ params, body: parameters, request: sent, response, deps: { database, queue } }) => {
      const wanted = {
        agentId: params.agentId,
        kind: operation.kind,
        actor: actorOf(sent, response),
        ...(operation.parameters && { parameters }),
      };
      const row = await database.transaction().execute(async (trx) => {
        await limitPrograms(trx, sent, response);
        return request(trx, queue, wanted);
      });
      await answerAccepted(response, database, row);
    },
  }),
);

/** If the operation has no parameters, the body is optional. */
function toBodySchema({ kind, parameters }: Operation): z.ZodType<Record<string, unknown> | undefined> {
  const body = z.strictObject(parameters?.shape ?? {}, {
    error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined),
  });
  return parameters === undefined
    ? body.optional()
    : body.meta({ id: kind[0]!.toUpperCase() + kind.slice(1) });
}

function describeConflict({ refusal, runsAgent, removesAgent, needsSnapshot }: Operation): string {
  const reasons = [
    'The agent’s status does not allow it',
    ...(runsAgent ? ['a hold keeps it switched off'] : []),
    ...(removesAgent ? ['it is protected'] : []),
    ...(needsSnapshot ? ['it has no such snapshot'] : []),
    ...(refusal === undefined ? [] : ['it already has the requested parameters']),
  ];
  return `${reasons.join(', ')}, or a conflicting operation is unfinished`;
}
