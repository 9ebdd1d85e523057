import type { RunRow } from './runs.ts';
import { REPOSITORY, WORKFLOW_PATH } from './workflow.ts';

/**
 * Returns a run as GitHub's API shows it, without fields that mean nothing here. `apiUrl` is the API's root.
 */
export function toRun(run: RunRow, apiUrl: string) {
  const url = toRunUrl(run, apiUrl);
  return {
    id: Number(run.id),
    name: 'Provision agent',
    // The workflow's run-name.
    display_title: `${run.inputs.agent_id} ${run.inputs.job_id}`,
    path: `${WORKFLOW_PATH}@${REPOSITORY.branch}`,
    workflow_id: REPOSITORY.workflowId,
    workflow_url: `${toRepositoryUrl(apiUrl)}/actions/workflows/${REPOSITORY.workflowId}`,
    run_number: run.number,
    run_attempt: 1,
    event: 'workflow_dispatch',
    head_branch: REPOSITORY.branch,
    status: run.status,
    conclusion: run.conclusion,
    created_at: run.created_at.toISOString(),
    run_started_at: (run.started_at ?? run.created_at).toISOString(),
    updated_at: run.updated_at.toISOString(),
    url,
    html_url: url,
    cancel_url: `${url}/cancel`,
    repository: {
      name: REPOSITORY.name,
      full_name: `${REPOSITORY.owner}/${REPOSITORY.name}`,
      owner: { login: REPOSITORY.owner },
      url: toRepositoryUrl(apiUrl),
    },
  };
}

/** Returns the answer to a dispatch that requested the run's details. */
export function toRunDetails(run: RunRow, apiUrl: string) {
  const url = toRunUrl(run, apiUrl);
  return { workflow_run_id: Number(run.id), run_url: url, html_url: url };
}

const toRepositoryUrl = (apiUrl: string) => `${apiUrl}/repos/${REPOSITORY.owner}/${REPOSITORY.name}`;

const toRunUrl = (run: RunRow, apiUrl: string) => `${toRepositoryUrl(apiUrl)}/actions/runs/${run.id}`;
