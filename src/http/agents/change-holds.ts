import { z } from 'zod';
import { HOLD_REASONS, type HoldReason, REASONS_OF_PEOPLE } from '../../agents/holds.ts';
import type { Transaction } from '../../database/connect.ts';
import { requestHold, requestRelease } from '../../operations/hold-requests.ts';
import type { OperationRow } from '../../operations/rows.ts';
import { actorOf } from '../actor.ts';
import { businessNow, type HttpDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../endpoint.ts';
import { acceptedAnswer, answerAccepted } from '../operations/accepted.ts';
import { agentJson, agentParams } from './agent-json.ts';
import { findAgentJson } from './present-agents.ts';

const note = z
  .string()
  .trim()
  .max(1000)
  .optional()
  .transform((text) => text || undefined)
  .meta({ description: 'Why, for the audit log and the dashboard' });

const fields = <R extends readonly HoldReason[]>(reasons: R) =>
  z.strictObject(
    { reason: z.enum(reasons, { error: `must be ${reasons.join(' or ')}` }), note },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a JSON object' : undefined) },
  );

/** What a person says about a hold, as a request's body and as a form. */
export const holdFields = fields(REASONS_OF_PEOPLE);
/** The same about its release. Those that payments demand can be released where nobody follows payments. */
export const releaseFields = fields(HOLD_REASONS);

/** `POST …/hold`: switches an agent off until this hold is released. */
export const placeHold = changeHolds('hold', {
  body: holdFields.meta({ id: 'NewHold' }),
  summary: 'Hold an agent: it is switched off until the hold is released',
  change: (trx, deps, request) => requestHold(trx, deps.queue, { ...request, at: businessNow(deps) }),
});

/** `POST …/release`: releases this hold; the agent runs again once nothing holds it. */
export const releaseHold = changeHolds('release', {
  body: releaseFields.meta({ id: 'HoldRelease' }),
  summary: 'Release a hold: the agent runs again once nothing holds it',
  change: (trx, { queue, followsPayments }, request) =>
    requestRelease(trx, queue, { ...request, followsPayments }),
});

interface Change<Body extends z.ZodObject> {
  body: Body;
  summary: string;
  change(trx: Transaction, deps: HttpDeps, request: Asked<Body>): Promise<OperationRow | undefined>;
}

type Asked<Body extends z.ZodObject> = z.output<Body> & { agentId: string; actor: string };

function changeHolds<Body extends z.ZodObject>(
  verb: 'hold' | 'release',
  { body: fields, summary, change }: Change<Body>,
): Endpoint {
  return endpoint({
    id: `${verb}Agent`,
    method: 'post',
    path: `/api/agents/{agentId}/${verb}`,
    summary,
    access: 'operator',
    params: agentParams,
    body: fields,
    answers: {
      200: { description: 'Nothing has to be done now; the agent with its holds', schema: agentJson },
      202: acceptedAnswer,
      409: { description: 'The agent is being destroyed' },
    },
    handle: async ({ params: { agentId }, body, request: sent, response, deps }) => {
      const { database } = deps;
      const request = { agentId, ...body, actor: actorOf(sent, response) };
      const operation = await database.transaction().execute((trx) => change(trx, deps, request));
      if (operation === undefined) response.json(await findAgentJson(database, agentId));
      else await answerAccepted(response, database, operation);
    },
  });
}
