import type { RequestHandler } from 'express';
import { check, senderSchema } from '../../executors/github-actions/callback.ts';
import { recordForRunner, recordSchema } from '../../executors/github-actions/record.ts';
import type { HttpDeps } from '../deps.ts';
import { readAttemptToken, readSignedJson, refuse, requireIdentity } from '../signed-message.ts';

/** `POST /api/runner/record`: takes a runner's records and answers its reads. Signed like callbacks. */
export function recordRoute({ database, log, remote }: HttpDeps): RequestHandler {
  return async (request, response) => {
    try {
      const body = await readSignedJson(request, remote?.callbackSecret);
      const { job_id: jobId, workflow_run_id: workflowRunId } = check(senderSchema, body);
      await requireIdentity(request, remote, workflowRunId);
      const record = check(recordSchema, (body as { record?: unknown }).record);
      const sender = { jobId, workflowRunId, token: readAttemptToken(request) };
      const answer = await recordForRunner({ database, ...remote! }, sender, record);
      response.set('cache-control', 'no-store').json(answer);
    } catch (error) {
      refuse(response, log, error);
    }
  };
}
