import type { RunRow } from './runs.ts';
import { repository, workflowPath } from './workflow.ts';

/** A run as GitHub's API shows it, as far as it means anything here. `apiUrl`: the API's root. */
export function toRun(run: RunRow, apiUrl: string) {
  const url = runUrl(run, apiUrl);
  return {
    id: Number(run.id),
    name: 'Provision agent',
    // As the workflow's run-name makes it.
    display_title: `${run.inputs.agent_id} ${run.inputs.job_id}`,
    path: `${workflowPath}@${repository.branch}`,
    workflow_id: repository.workflowId,
    workflow_url: `${repositoryUrl(apiUrl)}/actions/workflows/${repository.workflowId}`,
    run_number: run.number,
    run_attempt: 1,
    event: 'workflow_dispatch',
    head_branch: repository.branch,
    status: run.status,
    conclusion: run.conclusion,
    created_at: run.created_at.toISOString(),
    run_started_at: (run.started_at ?? run.created_at).toISOString(),
    updated_at: run.updated_at.toISOString(),
    url,
    html_url: url,
    cancel_url: `${url}/cancel`,
    repository: {
      name: repository.name,
      full_name: `${repository.owner}/${repository.name}`,
      owner: { login: repository.owner },
      url: repositoryUrl(apiUrl),
    },
  };
}

/** The answer to a dispatch that asked for the run's details. */
export function toRunDetails(run: RunRow, apiUrl: string) {
  const url = runUrl(run, apiUrl);
  return { workflow_run_id: Number(run.id), run_url: url, html_url: url };
}

const repositoryUrl = (apiUrl: string) => `${apiUrl}/repos/${repository.owner}/${repository.name}`;

const runUrl = (run: RunRow, apiUrl: string) => `${repositoryUrl(apiUrl)}/actions/runs/${run.id}`;
