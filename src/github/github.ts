import { z } from 'zod';
import { parseAnswer } from '../http-client/answer.ts';
import type { CallLimits } from '../http-client/exchange.ts';
import { HttpError, requestJson } from '../http-client/request.ts';
import type { Secret } from '../secret.ts';
import { createPatience } from './patience.ts';

/** The repository whose workflow carries operations out. */
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

/** What the service asks GitHub. @see https://docs.github.com/en/rest/actions */
export interface GithubClient {
  /** Starts the workflow. @returns the run's id where the server tells it. */
  dispatch(inputs: Record<string, string>): Promise<string | undefined>;
  /**
   * The newest run since a moment whose title contains a text: how a run is found whose id the server did not tell. The workflow's
   * `run-name` puts the job's id there.
   */
  findRun(title: string, since: Date): Promise<string | undefined>;
  /** undefined where there is no such run. */
  getRun(runId: string): Promise<WorkflowRun | undefined>;
  /** One that has ended, or is not there, is fine. */
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

/** Servers from before 2026 refuse the field that asks for the run's id. */
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

/** undefined where the API answers with one of these. */
async function unless<T>(statuses: number[], answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof HttpError && statuses.includes(error.status)) return undefined;
    throw error;
  }
}
