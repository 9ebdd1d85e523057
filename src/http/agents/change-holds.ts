import { z } from 'zod';
import { REASONS_OF_PEOPLE } from '../../agents/holds.ts';
import type { Transaction } from '../../database/connect.ts';
import { type HoldRequest, requestHold, requestRelease } from '../../operations/hold-requests.ts';
import type { OperationRow } from '../../operations/rows.ts';
import { businessNow, type HttpDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../endpoint.ts';
import { acceptedAnswer, answerAccepted } from '../operations/accepted.ts';
import { agentJson, agentParams } from './agent-json.ts';
import { findAgentJson } from './present-agents.ts';

/** What a person says about a hold, as a request's body and as a form. */
export const holdFields = z.strictObject(
  {
    reason: z.enum(REASONS_OF_PEOPLE, { error: `must be ${REASONS_OF_PEOPLE.join(' or ')}` }),
    note: z
      .string()
      .trim()
      .max(1000)
      .optional()
      .transform((note) => note || undefined)
      .meta({ description: 'Why, for the audit log and the dashboard' }),
  },
  { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
);

/** `POST …/hold`: switches an agent off until this hold is released. */
export const placeHold = changeHolds('hold', {
  summary: 'Hold an agent: it is switched off until the hold is released',
  change: (trx, deps, request) => requestHold(trx, deps.queue, { ...request, at: businessNow(deps) }),
});

/** `POST …/release`: releases this hold; the agent runs again once nothing holds it. */
export const releaseHold = changeHolds('release', {
  summary: 'Release a hold: the agent runs again once nothing holds it',
  change: (trx, { queue }, request) => requestRelease(trx, queue, request),
});

interface Change {
  summary: string;
  change(trx: Transaction, deps: HttpDeps, request: HoldRequest): Promise<OperationRow | undefined>;
}

function changeHolds(verb: 'hold' | 'release', { summary, change }: Change): Endpoint {
  return endpoint({
    method: 'post',
    path: `/api/agents/{agentId}/${verb}`,
    summary,
    access: 'operator',
    params: agentParams,
    body: holdFields.meta({ id: verb === 'hold' ? 'NewHold' : 'HoldRelease' }),
    answers: {
      200: { description: 'Nothing has to be done now; the agent with its holds', schema: agentJson },
      202: acceptedAnswer,
      409: { description: 'The agent is being destroyed' },
    },
    handle: async ({ params: { agentId }, body, response, deps }) => {
      const { database } = deps;
      const request = { agentId, ...body, actor: 'operator' };
      const operation = await database.transaction().execute((trx) => change(trx, deps, request));
      if (operation === undefined) response.json(await findAgentJson(database, agentId));
      else await answerAccepted(response, database, operation);
    },
  });
}
