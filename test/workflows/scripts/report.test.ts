import { expect, test } from 'vitest';
import { inputs, secret, startReceiver } from '../../support/workflow.ts';
import { makeJob } from './setup.ts';

const job = { job_id: inputs.job_id, workflow_run_id: '900' };

/** What the service hears of a script. */
async function report(name: string, environment: Record<string, string> = {}) {
  const receiver = await startReceiver(secret);
  const { run } = await makeJob(receiver);
  expect(await run(name, { environment })).toEqual({ code: 0, out: '', err: '' });
  expect(receiver.callbacks).toMatchObject([{ signed: true }]);
  return receiver.callbacks[0]!.body;
}

test('provisioning', async () => {
  expect(await report('report-provisioning.sh')).toEqual({ ...job, status: 'provisioning' });
});

test('running, with what the work has made; nothing where it made nothing', async () => {
  const made = { server_id: '42', server_ip: '198.18.0.7', tailscale_ip: '100.64.0.9' };
  const environment = { SERVER_ID: '42', SERVER_IP: '198.18.0.7', TAILSCALE_IP: '100.64.0.9' };
  expect(await report('report-running.sh', environment)).toEqual({ ...job, status: 'running', ...made });
  const nothing = { SERVER_ID: '', SERVER_IP: '', TAILSCALE_IP: '' };
  expect(await report('report-running.sh', nothing)).toEqual({ ...job, status: 'running' });
});

const steps = (outcomes: Record<string, string>) =>
  JSON.stringify(
    Object.fromEntries(Object.entries(outcomes).map(([name, outcome]) => [name, { outcome, outputs: {} }])),
  );

test('failed, with what the work has said', async () => {
  const environment = { ERROR: 'no "capacity"\nin hel1', FAILED_STEP: 'creating_server', STEPS: '{}' };
  expect(await report('report-failed.sh', environment)).toEqual({
    ...job,
    status: 'failed',
    error: environment.ERROR,
    failed_step: 'creating_server',
  });
});

test.for([
  ['the first step that failed', { checkout: 'success', 'set-up': 'failure', work: 'failure' }, 'set-up'],
  ['the workflow, where no step did', { checkout: 'success', work: 'cancelled' }, 'workflow'],
] as const)('failed where the work said nothing: names %s', async ([, outcomes, failed_step]) => {
  expect(await report('report-failed.sh', { ERROR: '', FAILED_STEP: '', STEPS: steps(outcomes) })).toEqual({
    ...job,
    status: 'failed',
    error: `The step ${failed_step} of the workflow failed: https://github.example/acme/agents/actions/runs/900`,
    failed_step,
  });
});

test('a report that is not taken fails the step as the callback does', async () => {
  const receiver = await startReceiver(secret);
  receiver.answers.push(409);
  const { run } = await makeJob(receiver);
  expect(await run('report-provisioning.sh')).toMatchObject({ code: 9 });
});
