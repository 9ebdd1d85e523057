import type { Secret } from '../../secret.ts';
import { attemptToken } from './callback-signature.ts';

/** The workflow's four inputs. They never change, because a runner gets its work by its claim. */
export function workflowInputs(
  operation: { operationId: string; attempt: number; agentId: string; region: string },
  service: { publicUrl: string; callbackSecret: Secret },
): { job_id: string; agent_id: string; region: string; callback_url: string } {
  const url = new URL(`${service.publicUrl}/api/webhooks/github`);
  url.searchParams.set('attempt', String(operation.attempt));
  url.searchParams.set('token', attemptToken(service.callbackSecret, operation));
  return {
    job_id: operation.operationId,
    agent_id: operation.agentId,
    region: operation.region,
    callback_url: url.href,
  };
}
