import type { RequestHandler } from 'express';
import { z } from 'zod';
import { check, senderSchema } from '../../executors/github-actions/callback.ts';
import { claimForRunner } from '../../executors/github-actions/claim.ts';
import { keyIdsSchema } from '../../executors/github-actions/runner-keys.ts';
import type { HttpDeps } from '../deps.ts';
import { readAttemptToken, readSignedJson, refuse, requireIdentity } from '../signed-message.ts';
import { traceRequest } from '../webhook-metrics.ts';

const ROUTE = '/api/runner/claim';
const claimSchema = senderSchema.extend({ key_ids: keyIdsSchema, projects: z.literal(true).optional() });

/** `POST /api/runner/claim`: hands the runner its work. Signed like callbacks. */
export function claimRoute({ database, queue, log, remote, isTraced }: HttpDeps): RequestHandler {
  return async (request, response) => {
    try {
      const body = check(claimSchema, await readSignedJson(request, remote?.callbackSecret));
      await requireIdentity(request, remote, body.workflow_run_id);
      const sender = {
        jobId: body.job_id,
        workflowRunId: body.workflow_run_id,
        token: readAttemptToken(request),
      };
      const claim = await claimForRunner({ database, queue, ...remote! }, sender, {
        keyIds: body.key_ids,
        knowsProjects: body.projects === true,
      });
      response.set('cache-control', 'no-store').json(claim);
      const { agentId, kind, attempt } = claim;
      const operationId = sender.jobId;
      if (isTraced === true)
        traceRequest(database, response, { kind: 'callback', route: ROUTE, operationId, attempt });
      log.info(
        { event: 'runner.claimed', operationId, agentId, kind, attempt },
        `a runner claimed the ${kind} of ${agentId}`,
      );
    } catch (error) {
      refuse(response, log, error);
    }
  };
}
