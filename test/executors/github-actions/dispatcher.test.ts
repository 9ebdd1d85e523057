import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { getAgent } from '../../../src/agents/store.ts';
import { parseCallback } from '../../../src/executors/github-actions/callback.ts';
import { attemptToken } from '../../../src/executors/github-actions/callback-signature.ts';
import { claimForRunner } from '../../../src/executors/github-actions/claim.ts';
import {
  type DispatcherDeps,
  lookOnce,
  startDispatcher,
} from '../../../src/executors/github-actions/dispatcher.ts';
import { takeDispatch } from '../../../src/executors/github-actions/dispatches.ts';
import { receiveCallback } from '../../../src/executors/github-actions/receive.ts';
import { recordForRunner } from '../../../src/executors/github-actions/record.ts';
import { Keyring } from '../../../src/keys/keyring.ts';
import { cancelOperation } from '../../../src/operations/cancel.ts';
import { readEvents } from '../../../src/operations/events/events.ts';
import { chooseExecutor } from '../../../src/operations/executor-choice.ts';
import { noFence } from '../../../src/pulumi/fence.ts';
import { readWorkforce } from '../../../src/reconcile/workforce.ts';
import { createFoundationStore } from '../../../src/runbooks/steps/foundation-store.ts';
import { Secret } from '../../../src/secret.ts';
import {
  ask,
  claim as claimLocally,
  listOperations,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  operation,
  order,
  waitOver,
} from '../../support/operations-fixture.ts';
import { stampAsNew } from '../../support/stamp.ts';
import { type FakeGithub, startGithub } from './support/github.ts';

const callbackSecret = new Secret('callback secret of the tests');
const fence = noFence(new Secret('postgres://state'));
let at: OperationsFixture;
let github: FakeGithub;
let deps: DispatcherDeps;

beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await stampAsNew(at.database);
  await chooseExecutor(at.database, 'github-actions');
  github = await startGithub();
  deps = { ...at, github, callbackSecret, publicUrl: 'https://agents.example.com', workerId: 'w1' };
  return () => github.stop();
});

const look = () => lookOnce(deps);
const tell = (jobId: string, message: object, attempt?: number) =>
  receiveCallback(
    { ...at, callbackSecret, getFence: async () => fence },
    parseCallback({ job_id: jobId, ...message }),
    attempt === undefined ? undefined : attemptToken(callbackSecret, { operationId: jobId, attempt }),
  );
const record = (jobId: string, message: Parameters<typeof recordForRunner>[2]) =>
  recordForRunner(
    { ...at, callbackSecret, foundations: createFoundationStore(at.database, fence) },
    { jobId },
    message,
  );
const dispatches = () => github.asked.filter(({ path }) => path.endsWith('/dispatches'));
const cancels = () => github.asked.filter(({ path }) => path.endsWith('/cancel')).map(({ path }) => path);

/** Moves all of an operation's times into the past, as if that much time had passed. */
async function pass(jobId: string, seconds: number): Promise<void> {
  await sql`update operations set
      run_after = run_after - make_interval(secs => ${seconds}),
      dispatched_at = dispatched_at - make_interval(secs => ${seconds}),
      last_heartbeat_at = last_heartbeat_at - make_interval(secs => ${seconds}),
      polled_at = polled_at - make_interval(secs => ${seconds})
    where operation_id = ${jobId}`.execute(at.database);
  await sql`update run_cancellations set asked_at = asked_at - make_interval(secs => ${seconds}),
    try_at = try_at - make_interval(secs => ${seconds})`.execute(at.database);
}

/** An order whose dispatch GitHub answered with a run's id. */
async function dispatched(agentId = 'a1', runId = '900'): Promise<string> {
  const { operation_id } = await order(at, agentId);
  github.dispatches.push({ status: 200, body: { workflow_run_id: Number(runId) } });
  await look();
  return operation_id;
}

describe('a dispatch', () => {
  test('requests the workflow with exactly four inputs, and records the run from the answer', async () => {
    const jobId = await dispatched();
    const [asked] = dispatches();
    expect(asked).toMatchObject({
      method: 'POST',
      path: '/repos/acme/agents/actions/workflows/provision-agent.yml/dispatches',
      headers: { authorization: 'Bearer ghp_secret' },
    });
    const token = attemptToken(callbackSecret, { operationId: jobId, attempt: 1 });
    expect(asked?.body).toEqual({
      ref: 'main',
      return_run_details: true,
      inputs: {
        job_id: jobId,
        agent_id: 'a1',
        region: 'eu-central',
        callback_url: `https://agents.example.com/api/webhooks/github?attempt=1&token=${token}`,
      },
    });
    expect(await operation(at, jobId)).toMatchObject({
      status: 'queued',
      attempt: 1,
      executor: 'github-actions',
      workflow_run_id: '900',
      error: null,
    });
    await look();
    expect(dispatches()).toHaveLength(1);
  });

  test('to a server that returns no run: the first callback names it', async () => {
    const { operation_id } = await order(at, 'a1');
    await look();
    expect((await operation(at, operation_id)).workflow_run_id).toBeNull();
    await tell(operation_id, { status: 'provisioning', workflow_run_id: '901' }, 1);
    expect(await operation(at, operation_id)).toMatchObject({ status: 'active', workflow_run_id: '901' });
  });

  test('to an older server, which refuses the field that requests the run’s id', async () => {
    github.dispatches.push({
      status: 422,
      body: { message: '"return_run_details" is not a permitted key.' },
    });
    const { operation_id } = await order(at, 'a1');
    await look();
    expect(dispatches().map(({ body }) => 'return_run_details' in body)).toEqual([true, false]);
    expect(await operation(at, operation_id)).toMatchObject({ status: 'queued', error: null });
  });

  test.each([
    ['a wrong token', 401, /401 Bad credentials/],
    ['a missing repository', 404, /404 Not Found/],
    ['a missing branch', 422, /422 No ref found/],
    ['a fault at GitHub', 502, /502/],
  ])(
    '%s: it stays queued with the reason, and is retried with a growing delay',
    async (_, status, reason) => {
      const message =
        { 401: 'Bad credentials', 404: 'Not Found', 422: 'No ref found for: main' }[status] ?? '';
      github.dispatches.push({ status, body: { message } }, { status, body: { message } });
      const { operation_id } = await order(at, 'a1');
      await look();
      const refused = await operation(at, operation_id);
      expect(refused).toMatchObject({ status: 'queued', dispatched_at: null, retry_count: 0, lost_count: 0 });
      expect(refused.error).toMatch(reason);
      expect(at.logged).toContainEqual(
        expect.objectContaining({ level: 50, event: 'dispatch.failed', operationId: operation_id }),
      );
      const firstPause = refused.run_after.getTime() - Date.now();
      expect(firstPause).toBeGreaterThan(1_000);
      await look();
      expect(dispatches()).toHaveLength(1);
      await pass(operation_id, 6);
      await look();
      expect((await operation(at, operation_id)).run_after.getTime() - Date.now()).toBeGreaterThan(
        firstPause,
      );
      await pass(operation_id, 60);
      await look();
      expect(await operation(at, operation_id)).toMatchObject({ status: 'queued', error: null, attempt: 3 });
      const told = (await readEvents(at.database, operation_id, 0)).map(
        ({ data }) => data.error ?? data.line,
      );
      expect(told.filter((text) => typeof text === 'string' && reason.test(text)).length).toBeGreaterThan(1);
    },
  );

  test('without a token starts no attempt, leaves the job queued with the reason, and logs an error', async () => {
    deps = { ...deps, github: { missing: 'GITHUB_PAT is missing' } };
    const { operation_id } = await order(at, 'a1');
    await look();
    expect(await operation(at, operation_id)).toMatchObject({
      status: 'queued',
      attempt: 0,
      error: 'GITHUB_PAT is missing',
    });
    expect(at.logged).toContainEqual(
      expect.objectContaining({ level: 50, event: 'dispatch.failed', operationId: operation_id }),
    );
    expect(dispatches()).toEqual([]);
  });

  test('the next try has the error of the try before, despite failed dispatches between', async () => {
    const jobId = await dispatched();
    await tell(
      jobId,
      { status: 'failed', error: 'The server did not join', failed_step: 'joining_network' },
      1,
    );
    await waitOver(at);
    github.dispatches.push({ status: 500 });
    await look();
    expect((await operation(at, jobId)).error).toMatch(/500/);
    await waitOver(at);
    await look();
    expect(await operation(at, jobId)).toMatchObject({ error: 'The server did not join', attempt: 3 });
  });

  test('the next try has the failure code of the try before, reported as text alone, despite lost dispatches between', async () => {
    const error = 'The server did not join the tailnet in time: there is no device join-1';
    const notJoined = { error, failure_code: 'not-joined' };
    const jobId = await dispatched();
    await tell(jobId, { status: 'failed', error, failed_step: 'joining_network' }, 1);
    expect(await operation(at, jobId)).toMatchObject(notJoined);
    await waitOver(at);
    github.dispatches.push({ status: 500 });
    await look();
    await waitOver(at);
    expect((await takeDispatch(at, undefined))?.kind).toBe('dispatch');
    await pass(jobId, 100);
    expect((await takeDispatch(at, undefined))?.kind).toBe('given-up');
    await waitOver(at);
    await look();
    expect(await operation(at, jobId)).toMatchObject(notJoined);
  });

  test('is repeated if the process dies before GitHub answers, and the first run is refused', async () => {
    const { operation_id: jobId } = await order(at, 'a1');
    expect((await takeDispatch(at, undefined))?.kind).toBe('dispatch');
    await look();
    expect(dispatches()).toHaveLength(0);
    await pass(jobId, 100);
    await look();
    await waitOver(at);
    await look();
    expect(dispatches()).toHaveLength(1);
    expect(await operation(at, jobId)).toMatchObject({ attempt: 2, lost_count: 1, retry_count: 0 });
    await expect(tell(jobId, { status: 'provisioning' }, 1)).rejects.toThrow('another attempt');
    await tell(jobId, { status: 'provisioning' }, 2);
    expect((await operation(at, jobId)).status).toBe('active');
  });

  test('is confirmed without harm if the run was faster than the answer', async () => {
    const { operation_id: jobId } = await order(at, 'a1');
    github.dispatches.push(async () => {
      await tell(jobId, { status: 'provisioning', workflow_run_id: '77' }, 1);
      return { status: 200, body: { workflow_run_id: '77' } };
    });
    await look();
    expect(await operation(at, jobId)).toMatchObject({ status: 'active', workflow_run_id: '77' });
  });

  test('of an operation that is cancelled meanwhile cancels its run too', async () => {
    const { operation_id: operationId } = await order(at, 'a1');
    github.dispatches.push(async () => {
      await cancel(operationId);
      return { status: 200, body: { workflow_run_id: '78' } };
    });
    await look();
    expect((await operation(at, operationId)).status).toBe('cancelled');
    expect(cancels()).toEqual(['/repos/acme/agents/actions/runs/78/cancel']);
  });

  test('many agents at once, each once, and one operation per agent', async () => {
    const rows = await Promise.all(['a1', 'a2', 'a3', 'a4', 'a5'].map((agentId) => order(at, agentId)));
    await ask(at, 'a1', 'destroy');
    await Promise.all([look(), look(), look()]);
    const asked = dispatches().map(({ body }) => (body.inputs as { job_id: string }).job_id);
    const [first, ...others] = rows.map((row) => row.operation_id);
    // A destroy cancels the queued provision and is dispatched instead.
    expect(asked).not.toContain(first);
    expect(asked.sort()).toEqual([...others, (await listOperations(at, 'a1')).at(-1)!.operation_id].sort());
  });
});

const cancel = (operationId: string) =>
  at.database.transaction().execute((trx) => cancelOperation(trx, at.queue, { operationId, actor: 'test' }));

describe('time-outs', () => {
  test('a dispatched run that no runner begins has half an hour', async () => {
    const jobId = await dispatched();
    await pass(jobId, 29 * 60);
    github.runs.set('900', { status: 'queued' });
    await look();
    expect(await operation(at, jobId)).toMatchObject({ status: 'queued', attempt: 1, lost_count: 0 });
    await pass(jobId, 2 * 60);
    await look();
    expect(await operation(at, jobId)).toMatchObject({
      status: 'queued',
      lost_count: 1,
      dispatched_at: null,
      error: expect.stringMatching(/No runner has begun attempt 1 \(workflow run 900\)/),
    });
    expect(cancels()).toEqual(['/repos/acme/agents/actions/runs/900/cancel']);
  });

  test('an attempt without a heartbeat for 15 minutes is lost once, its run cancelled, and the next dispatched', async () => {
    const jobId = await dispatched();
    await tell(jobId, { status: 'provisioning', step: 'creating_server' }, 1);
    github.runs.set('900', { status: 'in_progress' });
    await pass(jobId, 14 * 60);
    await look();
    expect((await operation(at, jobId)).status).toBe('active');
    await pass(jobId, 61);
    await Promise.all([look(), look(), look()]);
    expect(await operation(at, jobId)).toMatchObject({ status: 'queued', lost_count: 1, retry_count: 0 });
    const said = (await readEvents(at.database, jobId, 0)).filter(({ data }) =>
      String(data.line).includes('has not been heard of'),
    );
    expect(said).toHaveLength(1);
    expect(cancels()).toEqual(['/repos/acme/agents/actions/runs/900/cancel']);
    await expect(tell(jobId, { type: 'heartbeat' }, 1)).rejects.toThrow('is over');
    await waitOver(at);
    await look();
    expect(dispatches()).toHaveLength(2);
    for (const late of [{ type: 'heartbeat' }, { status: 'running' }, { status: 'failed', error: 'late' }])
      await expect(tell(jobId, late, 1)).rejects.toThrow('another attempt');
  });

  test('a cancellation that GitHub refuses is retried', async () => {
    const jobId = await dispatched();
    github.cancels.push({ status: 502 });
    await cancel(jobId);
    await look();
    await look();
    expect(cancels()).toHaveLength(1);
    await pass(jobId, 60);
    await look();
    await pass(jobId, 600);
    await look();
    expect(cancels()).toHaveLength(2);
  });
});

describe('a silent run', () => {
  test('is checked at GitHub, at most once a minute', async () => {
    const jobId = await dispatched();
    github.runs.set('900', { status: 'in_progress' });
    await look();
    await pass(jobId, 200);
    await look();
    await look();
    expect(github.asked.filter(({ method }) => method === 'GET')).toHaveLength(1);
    expect((await operation(at, jobId)).status).toBe('queued');
  });

  test('that ended without a report is a failed try, with GitHub’s conclusion', async () => {
    const jobId = await dispatched();
    github.runs.set('900', { status: 'completed', conclusion: 'failure' });
    await pass(jobId, 200);
    await look();
    expect(await operation(at, jobId)).toMatchObject({
      status: 'queued',
      retry_count: 1,
      error: expect.stringMatching(/Workflow run 900 has ended \(failure\)/),
    });
  });

  test('that was never named is found by the job’s id in its title, not an earlier attempt’s', async () => {
    const { operation_id: jobId } = await order(at, 'a1');
    await look();
    const title = { display_title: `a1 ${jobId}`, status: 'completed', conclusion: 'failure' };
    github.runs.set('950', { ...title, created_at: new Date(Date.now() - 400_000).toISOString() });
    github.runs.set('951', { ...title, created_at: new Date(Date.now() - 190_000).toISOString() });
    github.runs.set('952', { ...title, display_title: 'a2 another', created_at: new Date().toISOString() });
    await pass(jobId, 200);
    await look();
    expect(await operation(at, jobId)).toMatchObject({
      workflow_run_id: '951',
      retry_count: 1,
      error: expect.stringMatching(/Workflow run 951 has ended \(failure\)/),
    });
  });

  test('is checked at once by a service that has just started', async () => {
    const jobId = await dispatched();
    github.runs.set('900', { status: 'completed', conclusion: 'cancelled' });
    const dispatcher = startDispatcher(deps);
    try {
      await expect.poll(async () => (await operation(at, jobId)).lost_count).toBe(1);
      expect(await readWorkforce(at.database)).toMatchObject({ workers: 1 });
    } finally {
      await dispatcher.stop();
    }
    expect(await readWorkforce(at.database)).toMatchObject({ workers: 0 });
  });

  test('that was cancelled at GitHub is a lost try', async () => {
    const jobId = await dispatched();
    await tell(jobId, { status: 'provisioning' }, 1);
    github.runs.set('900', { status: 'completed', conclusion: 'cancelled' });
    await pass(jobId, 200);
    await look();
    expect(await operation(at, jobId)).toMatchObject({ status: 'queued', retry_count: 0, lost_count: 1 });
  });

  test('that recorded its success before counts as success', async () => {
    const jobId = await dispatched();
    await tell(jobId, { status: 'provisioning' }, 1);
    await record(jobId, {
      kind: 'result',
      result: { status: 'succeeded', effect: { kind: 'running', outputs: OUTPUTS } },
    });
    github.runs.set('900', { status: 'completed', conclusion: 'success' });
    await pass(jobId, 200);
    await look();
    expect((await operation(at, jobId)).status).toBe('succeeded');
    expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'running', ipv6: OUTPUTS.ipv6 });
  });
});

describe('a person’s cancellation', () => {
  test('of an active operation cancels the run, settles when GitHub confirms it, and dispatches the rollback', async () => {
    const jobId = await dispatched();
    await tell(jobId, { status: 'provisioning' }, 1);
    github.runs.set('900', { status: 'in_progress' });
    await cancel(jobId);
    await look();
    expect(cancels()).toHaveLength(1);
    expect((await operation(at, jobId)).status).toBe('active');
    github.runs.set('900', { status: 'completed', conclusion: 'cancelled' });
    await pass(jobId, 6);
    await look();
    expect((await operation(at, jobId)).status).toBe('cancelled');
    await look();
    const rollback = (await listOperations(at, 'a1')).at(-1)!;
    expect(rollback).toMatchObject({ kind: 'rollback', executor: 'github-actions', attempt: 1 });
  });

  test('settles at once if no run is known, and after two minutes if GitHub is silent', async () => {
    const { operation_id } = await order(at, 'a1');
    await look();
    await tell(operation_id, { status: 'provisioning' }, 1);
    await cancel(operation_id);
    await look();
    expect((await operation(at, operation_id)).status).toBe('cancelled');
    // Its rollback goes first.
    await look();
    const other = await dispatched('a2', '902');
    await tell(other, { status: 'provisioning' }, 1);
    await cancel(other);
    await look();
    expect((await operation(at, other)).status).toBe('active');
    await pass(other, 121);
    await look();
    expect((await operation(at, other)).status).toBe('cancelled');
    await expect(tell(other, { status: 'running' }, 1)).rejects.toThrow('has ended');
  });

  test('a destroy ends the active provision, whose late success changes nothing', async () => {
    const jobId = await dispatched();
    await tell(jobId, { status: 'provisioning' }, 1);
    await ask(at, 'a1', 'destroy');
    await look();
    expect(cancels()).toHaveLength(1);
    const report = { status: 'running', server_id: '5', server_ip: '192.0.2.1', tailscale_ip: '100.64.0.1' };
    await tell(jobId, report, 1);
    expect((await operation(at, jobId)).status).toBe('cancelled');
    expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'destroying', server_id: null });
    await look();
    expect(dispatches().at(-1)?.body.inputs).toMatchObject({
      job_id: (await listOperations(at, 'a1')).at(-1)!.operation_id,
    });
  });
});

describe('two runners on one job', () => {
  test('of the same attempt: one claims it, the other is refused', async () => {
    const { operation_id: jobId } = await order(at, 'a1');
    await look();
    const token = attemptToken(callbackSecret, { operationId: jobId, attempt: 1 });
    const claim = (workflowRunId: string) =>
      claimForRunner(
        {
          ...at,
          callbackSecret,
          getFence: async () => fence,
          pulumi: { url: new Secret('postgres://state'), keyring: new Keyring(new Secret('p')) },
        },
        { jobId, workflowRunId, token },
      );
    const outcomes = await Promise.allSettled([claim('1'), claim('2'), claim('3')]);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const [, refused] = outcomes.toSorted((one, other) => one.status.localeCompare(other.status));
    expect(String((refused as PromiseRejectedResult).reason)).toMatch(/belongs to workflow run/);
  });
});

describe('the choice of the executor', () => {
  test('applies to queued and unclaimed operations; a claimed one stays with its runner', async () => {
    const begun = await dispatched('a1', '900');
    await tell(begun, { status: 'provisioning' }, 1);
    const waiting = await dispatched('a2', '901');
    const { operation_id: queued } = await order(at, 'a3');
    await chooseExecutor(at.database, 'local');
    expect((await operation(at, begun)).executor).toBe('github-actions');
    expect([(await claimLocally(at)).row, (await claimLocally(at)).row]).toMatchObject([
      { operation_id: waiting, attempt: 2 },
      { operation_id: queued, attempt: 1 },
    ]);
    await expect(tell(waiting, { status: 'provisioning' }, 1)).rejects.toThrow('by this service itself');
    await tell(begun, { status: 'failed', error: 'no' }, 1);
    expect((await operation(at, begun)).executor).toBe('local');
  });

  test('to local still polls GitHub for a run that died, and dispatches nothing', async () => {
    const begun = await dispatched('a1', '900');
    await tell(begun, { status: 'provisioning' }, 1);
    const sent = dispatches().length;
    await chooseExecutor(at.database, 'local');
    github.runs.set('900', { status: 'completed', conclusion: 'cancelled' });
    const watch = startDispatcher({ ...deps, watchesOnly: true });
    await expect
      .poll(async () => (await operation(at, begun)).status, { timeout: 10_000, interval: 20 })
      .toBe('queued');
    await watch.stop();
    expect((await operation(at, begun)).executor).toBe('local');
    expect(dispatches()).toHaveLength(sent);
  });
});
