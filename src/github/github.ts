import { z } from 'zod';
import { parseAnswer } from '../http-client/answer.ts';
import type { CallLimits } from '../http-client/exchange.ts';
import { HttpError, requestJson } from '../http-client/request.ts';
import type { Secret } from '../secret.ts';
import { createPatience } from './patience.ts';

/** The repository whose workflow executes operations. */
export interface GithubRepository extends CallLimits {
  apiUrl: string;
  owner: string;
  repo: string;
  /** Needs `actions: write` on this repository and nothing else. */
  token: Secret;
  /** The branch whose workflow file runs. */
  ref: string;
}

export interface WorkflowRun {
  /** `queued`, `in_progress`, `completed`, … */
  status: string;
  /** Once it is completed: `success`, `failure`, `cancelled`, `timed_out`, … */
  conclusion: string | null;
}

/** The calls of GitHub's API that the service needs. @see https://docs.github.com/en/rest/actions */
export interface GithubClient {
  /** Starts the workflow. @returns the run's id, if the server sends it */
  dispatch(inputs: Record<string, string>): Promise<string | undefined>;
  /**
   * Finds the newest run since a point in time whose title contains a text, for servers that do not return
   * the run's id on dispatch. The workflow's `run-name` puts the job's id into the title.
   */
  findRun(title: string, since: Date): Promise<string | undefined>;
  /** Returns undefined if there is no such run. */
  getRun(runId: string): Promise<WorkflowRun | undefined>;
  /** Cancels a run. Succeeds if the run has already ended or does not exist. */
  cancelRun(runId: string): Promise<void>;
}

export const WORKFLOW_FILE = 'provision-agent.yml';

const dispatched = z.object({ workflow_run_id: z.union([z.string(), z.number()]).transform(String) });
const runList = z.object({
  workflow_runs: z.array(
    z.object({
      id: z.union([z.string(), z.number()]).transform(String),
      display_title: z.string().default(''),
      created_at: z.coerce.date(),
    }),
  ),
});
const run = z.object({ status: z.string(), conclusion: z.string().nullable().default(null) });

export function createGithubClient(repository: GithubRepository): GithubClient {
  const { apiUrl, owner, repo, token, ref, timeoutSeconds } = repository;
  const patiently = createPatience();
  const actions = `${apiUrl}/repos/${encodeURIComponent(owner)}/${encodeURIComponent(repo)}/actions`;
  const call = (method: 'GET' | 'POST', path: string, body?: object) =>
    patiently(() =>
      requestJson({
        vendor: 'github',
        method,
        url: `${actions}${path}`,
        headers: {
          authorization: `Bearer ${token.reveal()}`,
          accept: 'application/vnd.github+json',
          'x-github-api-version': '2022-11-28',
          'user-agent': 'agent-stacks',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        timeoutSeconds,
      }),
    );
  const dispatches = `/workflows/${WORKFLOW_FILE}/dispatches`;
  return {
    dispatch: async (inputs) => {
      const answer = await withoutUnknownField(
        () => call('POST', dispatches, { ref, inputs, return_run_details: true }),
        () => call('POST', dispatches, { ref, inputs }),
      );
      const parsed = dispatched.safeParse(answer);
      return parsed.success ? parsed.data.workflow_run_id : undefined;
    },
    findRun: async (title, since) => {
      const query = 'event=workflow_dispatch&per_page=100';
      const answer = await call('GET', `/workflows/${WORKFLOW_FILE}/runs?${query}`);
      const { workflow_runs: runs } = parseAnswer(runList, answer, 'GitHub');
      const found = runs
        .filter((one) => one.display_title.includes(title) && one.created_at.getTime() >= since.getTime())
        .sort((one, other) => other.created_at.getTime() - one.created_at.getTime());
      return found[0]?.id;
    },
    getRun: async (runId) => {
      const answer = await unless([404], call('GET', `/runs/${encodeURIComponent(runId)}`));
      return answer === undefined ? undefined : parseAnswer(run, answer, 'GitHub');
    },
    cancelRun: async (runId) =>
      void (await unless([404, 409], call('POST', `/runs/${encodeURIComponent(runId)}/cancel`))),
  };
}

/** Retries without the field that requests the run's id, because servers from before 2026 reject it. */
async function withoutUnknownField<T>(first: () => Promise<T>, without: () => Promise<T>): Promise<T> {
  try {
    return await first();
  } catch (error) {
    const refused = error instanceof HttpError && (error.status === 400 || error.status === 422);
    if (!refused || !/return_run_details|not (a )?permitted|unknown|additional propert/i.test(error.message))
      throw error;
    return without();
  }
}

/** Returns undefined if the API answers with one of these statuses. */
async function unless<T>(statuses: number[], answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof HttpError && statuses.includes(error.status)) return undefined;
    throw error;
  }
}
