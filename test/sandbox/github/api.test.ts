import { expect, test } from 'vitest';
import { startGithub } from '../../support/sandbox-github.ts';

test('a dispatch is answered 204, or with the run’s id on request', async () => {
  const github = await startGithub();
  expect(await github.dispatch()).toEqual({ status: 204, body: null });
  const details = await github.dispatch({ return_run_details: true });
  const url = `${github.url}/repos/sandbox/agent-stacks/actions/runs/${details.body.workflow_run_id}`;
  expect(details).toEqual({
    status: 200,
    body: { workflow_run_id: expect.any(Number), run_url: url, html_url: url },
  });
  const run = await github.call('GET', `/runs/${details.body.workflow_run_id}`);
  expect(run.body).toMatchObject({
    id: details.body.workflow_run_id,
    url,
    event: 'workflow_dispatch',
    status: 'queued',
    conclusion: null,
    head_branch: 'main',
    path: '.github/workflows/provision-agent.yml@main',
    display_title: 'agent-1 0b5f9c1e-6f4e-4c39-9d3e-0f1f5f1c9a77',
  });
});

test('an older server refuses a request for the id, and accepts the dispatch without it', async () => {
  const github = await startGithub({ settings: { githubRunDetails: false } });
  const refused = await github.dispatch({ return_run_details: true });
  expect(refused).toMatchObject({
    status: 422,
    body: { message: expect.stringContaining('return_run_details') },
  });
  expect((await github.dispatch()).status).toBe(204);
});

test('runs are listed newest first, in pages, also by workflow', async () => {
  const github = await startGithub();
  const ids = [await github.run(), await github.run(), await github.run()];
  const page = await github.call('GET', '/runs?per_page=2');
  expect(page.body.total_count).toBe(3);
  expect(page.body.workflow_runs.map(({ id }: { id: number }) => id)).toEqual([ids[2], ids[1]]);
  const second = await github.call(
    'GET',
    '/workflows/provision-agent.yml/runs?per_page=2&page=2&status=queued',
  );
  expect(second.body.workflow_runs.map(({ id }: { id: number }) => id)).toEqual([ids[0]]);
});

test('a queued run is cancelled at once, a completed one cannot be', async () => {
  const github = await startGithub();
  const id = await github.run();
  expect((await github.call('POST', `/runs/${id}/cancel`)).status).toBe(202);
  expect((await github.call('GET', `/runs/${id}`)).body).toMatchObject({
    status: 'completed',
    conclusion: 'cancelled',
  });
  expect(await github.call('POST', `/runs/${id}/cancel`)).toMatchObject({
    status: 409,
    body: { message: 'Cannot cancel a workflow run that is completed.' },
  });
});

const dispatches = '/workflows/provision-agent.yml/dispatches';
const complete = { job_id: '1', agent_id: 'a', region: 'r', callback_url: 'u' };

test.for([
  ['no token', 'POST', dispatches, { ref: 'main', inputs: complete }, null, 401, 'Requires authentication'],
  ['another token', 'POST', dispatches, { ref: 'main', inputs: complete }, 'ghp_x', 401, 'Bad credentials'],
  ['another token on a read', 'GET', '/runs', undefined, 'ghp_x', 401, 'Bad credentials'],
  ['another repository', 'GET', '/repos/sandbox/other/actions/runs', undefined, undefined, 404, 'Not Found'],
  ['another workflow', 'POST', '/workflows/ci.yml/dispatches', { ref: 'main' }, undefined, 404, 'Not Found'],
  ['an id that is not a number', 'GET', '/runs/abc', undefined, undefined, 404, 'Not Found'],
  ['an unknown run', 'POST', '/runs/1/cancel', undefined, undefined, 404, 'Not Found'],
  ['invalid JSON', 'POST', dispatches, '{', undefined, 400, 'Problems parsing JSON'],
  ['no ref', 'POST', dispatches, { inputs: complete }, undefined, 422, '"ref" wasn\'t supplied'],
  [
    'an unknown ref',
    'POST',
    dispatches,
    { ref: 'x', inputs: complete },
    undefined,
    422,
    'No ref found for: x',
  ],
  [
    'a missing input',
    'POST',
    dispatches,
    { ref: 'main', inputs: { job_id: '1' } },
    undefined,
    422,
    "'agent_id'",
  ],
  [
    'an unknown input',
    'POST',
    dispatches,
    { ref: 'main', inputs: { ...complete, plan: 'x' } },
    undefined,
    422,
    'Unexpected inputs provided: ["plan"]',
  ],
  [
    'a number',
    'POST',
    dispatches,
    { ref: 'main', inputs: { ...complete, region: 1 } },
    undefined,
    422,
    'region',
  ],
  [
    'an unknown field',
    'POST',
    dispatches,
    { ref: 'main', input: {} },
    undefined,
    422,
    '"input" is not a permitted',
  ],
] as const)('refuses %s', async ([, method, path, body, token, status, message]) => {
  const github = await startGithub();
  const answer = await github.call(method, path, body, token);
  expect(answer).toEqual({
    status,
    body: {
      message: expect.stringContaining(message),
      documentation_url: expect.any(String),
      status: `${status}`,
    },
  });
});

test('reading needs no token', async () => {
  const github = await startGithub();
  expect((await github.call('GET', '/runs', undefined, null)).status).toBe(200);
});

test('faults can be ordered, in GitHub’s form', async () => {
  const github = await startGithub();
  const order = { area: 'github', method: 'POST', effect: { kind: 'status', status: 503 } };
  const ordered = await fetch(`${github.url}/faults`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(order),
  });
  expect(ordered.status).toBe(201);
  expect(await github.dispatch()).toMatchObject({ status: 503, body: { status: '503' } });
  expect((await github.dispatch()).status).toBe(204);
});
