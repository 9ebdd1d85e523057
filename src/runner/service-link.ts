import { setTimeout as sleep } from 'node:timers/promises';
import { LostError, PermanentError, RateLimitedError } from '../errors.ts';
import { signBody } from '../executors/github-actions/callback-signature.ts';
import type { CallLimits } from '../http-client/exchange.ts';
import { HttpError, requestJson } from '../http-client/request.ts';
import type { Secret } from '../secret.ts';

/**
 * A runner's connection to the service. It signs messages about one job; the callback URL names the attempt.
 */
export interface ServiceLink {
  /**
   * `status`: a callback; `claim` and `record`: the runner's own routes.
   * @throws LostError if the attempt is no longer ours
   */
  send(route: 'status' | 'claim' | 'record', body: object, options?: SendOptions): Promise<unknown>;
}

export interface SendOptions {
  /** How long to retry without an answer; default five minutes. */
  patienceSeconds?: number;
  signal?: AbortSignal;
}

const PATHS = {
  status: '/api/webhooks/github',
  claim: '/api/runner/claim',
  record: '/api/runner/record',
};
const PATIENCE_SECONDS = 300;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

export interface Job extends CallLimits {
  callbackUrl: string;
  callbackSecret: Secret;
  jobId: string;
  workflowRunId: string | undefined;
  /** Fetches an identity token, if the service requires one. */
  identify?: (() => Promise<string>) | undefined;
}

export function createServiceLink(job: Job): ServiceLink {
  const sender = {
    job_id: job.jobId,
    ...(job.workflowRunId === undefined ? {} : { workflow_run_id: job.workflowRunId }),
  };
  return {
    send: async (route, message, { patienceSeconds = PATIENCE_SECONDS, signal } = {}) => {
      const url = new URL(job.callbackUrl);
      url.pathname = url.pathname.replace(PATHS.status, PATHS[route]);
      const body = JSON.stringify({ ...sender, ...message });
      const headers = {
        'content-type': 'application/json',
        'x-signature': signBody(job.callbackSecret, body),
      };
      const post = async () => {
        const token = await job.identify?.();
        const proof = token === undefined ? {} : { authorization: `Bearer ${token}` };
        return requestJson({
          method: 'POST',
          url: url.href,
          headers: { ...headers, ...proof },
          body,
          signal,
          timeoutSeconds: job.timeoutSeconds,
        });
      };
      return retryUntil(post, Date.now() + patienceSeconds * 1000, signal);
    },
  };
}

async function retryUntil<T>(post: () => Promise<T>, deadline: number, signal?: AbortSignal): Promise<T> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await post();
    } catch (error) {
      const final = finalError(error);
      if (final !== undefined) throw final;
      const asked = error instanceof RateLimitedError ? error.seconds * 1000 : 0;
      const wait = Math.max(pause, asked);
      if (Date.now() + wait > deadline) throw error;
      await sleep(wait, undefined, { signal });
    }
  }
}

/** Returns the error if a retry cannot help. */
function finalError(error: unknown): Error | undefined {
  if (error instanceof PermanentError)
    return new PermanentError(`The service rejected the signature: ${error.message}`, { cause: error });
  if (!(error instanceof HttpError)) return undefined;
  if (error.status === 409 || error.status === 404)
    return new LostError(`The attempt is no longer ours: ${error.message}`, { cause: error });
  return error.status < 500 ? new PermanentError(error.message, { cause: error }) : undefined;
}
