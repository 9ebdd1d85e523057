import type { RequestHandler } from 'express';
import { parseCallback } from '../../executors/github-actions/callback.ts';
import { type Received, receiveCallback } from '../../executors/github-actions/receive.ts';
import type { Log } from '../../log.ts';
import type { HttpDeps } from '../deps.ts';
import { readAttemptToken, readSignedJson, refuse, requireIdentity } from '../signed-message.ts';
import { traceRequest } from '../webhook-metrics.ts';

const ROUTE = '/api/webhooks/github';

type Deps = Pick<HttpDeps, 'database' | 'queue' | 'log' | 'remote' | 'isTraced'>;

/** `POST /api/webhooks/github`: verifies, extracts, commits, answers. */
export function receiveGithubCallback(deps: Deps): RequestHandler {
  return async (request, response) => {
    try {
      const body = await readSignedJson(request, deps.remote?.callbackSecret);
      const callback = parseCallback(body);
      await requireIdentity(request, deps.remote, callback.workflowRunId);
      const received = await receiveCallback(
        { ...deps, ...deps.remote! },
        callback,
        readAttemptToken(request),
      );
      response.json({ received: true });
      logReceived(deps.log, callback.kind, received);
      if (deps.isTraced === true && callback.kind !== 'heartbeat') {
        const { operation_id: operationId, attempt } = received.operation;
        traceRequest(deps.database, response, { kind: 'callback', route: ROUTE, operationId, attempt });
      }
    } catch (error) {
      refuse(response, deps.log, error);
    }
  };
}

function logReceived(log: Log, kind: string, { changed, operation }: Received): void {
  log[kind === 'heartbeat' ? 'debug' : 'info'](
    {
      event: 'callback.received',
      kind,
      changed,
      operationId: operation.operation_id,
      agentId: operation.agent_id,
      attempt: operation.attempt,
      workflowRunId: operation.workflow_run_id,
    },
    changed ? 'a runner reported' : 'a runner repeated its report',
  );
}
