import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { act, noAct } from '../support/sandbox-github.ts';
import { inputs, makeFolder, runWorkflow, secret, startReceiver } from '../support/workflow.ts';

beforeEach(({ skip }) => {
  skip(act === undefined, noAct);
});

const outputs = (values: Record<string, string>) =>
  Object.entries(values)
    .map(
      ([name, value]) => `cat >> "$GITHUB_OUTPUT" << 'END_OF_IT'\n${name}<<EOF-1\n${value}\nEOF-1\nEND_OF_IT`,
    )
    .join('\n');

test('a run reports provisioning, beats, does the work, ends the heartbeat, and reports what it made', async () => {
  const receiver = await startReceiver(secret);
  const beats = join(await makeFolder(), 'beats');
  // The work lasts until the loop has sent two heartbeats.
  const work = `until [ "$(grep -c heartbeat "$RUNNER_TEMP/heartbeat.log")" -ge 2 ]; do sleep 0.1; done
touch '${beats}'
${outputs({ server_id: '42', server_ip: '198.18.0.7', tailscale_ip: '100.64.0.9' })}`;
  const run = await runWorkflow(receiver, { runner: { work }, variables: { HEARTBEAT_SECONDS: '1' } });
  expect(run.conclusion).toBe('success');
  expect(existsSync(beats)).toBe(true);
  const { job_id } = inputs;
  const { callbacks } = receiver;
  expect(callbacks[0]!.body).toEqual({ job_id, status: 'provisioning', workflow_run_id: run.id });
  expect(callbacks.at(-1)!.body).toEqual({
    job_id,
    status: 'running',
    workflow_run_id: run.id,
    server_id: '42',
    server_ip: '198.18.0.7',
    tailscale_ip: '100.64.0.9',
  });
  const between = callbacks.slice(1, -1);
  expect(between.length).toBeGreaterThanOrEqual(2);
  for (const { body } of between)
    expect(body).toEqual({ job_id, type: 'heartbeat', workflow_run_id: run.id });
  for (const { signed, path } of callbacks)
    expect({ signed, path }).toEqual({ signed: true, path: '/api/webhooks/github?attempt=1&token=abc' });
  expect(run.log).toMatch(
    /\| \S+ heartbeat: 0\n[\s\S]*\| Heartbeat stopped\n[\s\S]*orphan processes: none\n$/,
  );
});

test('a failure is reported with its error, whatever is in it, and its step; the heartbeat ends', async () => {
  const receiver = await startReceiver(secret);
  const error = `line one\nit's "over": \${{ secrets.X }} $(touch /tmp/x) \`id\` \\ {"status":"running"} — ümläut 🙂`;
  const work = `${outputs({ error, failed_step: 'creating_server' })}\nexit 1`;
  const run = await runWorkflow(receiver, { runner: { work } });
  expect(run.conclusion).toBe('failure');
  expect(receiver.kinds().filter((kind) => kind !== 'heartbeat')).toEqual(['provisioning', 'failed']);
  const failed = receiver.callbacks.find(({ body }) => body.status === 'failed')!;
  expect(failed).toMatchObject({ signed: true, body: { error, failed_step: 'creating_server' } });
  expect(run.log).toMatch(/\| Heartbeat stopped\n[\s\S]*orphan processes: none\n$/);
});

test('no answer of the service is a command to the runner', async () => {
  const receiver = await startReceiver(secret, 'gone\r\n::set-output name=gone::100%\n::add-mask::the\n');
  receiver.answers.push(404);
  const run = await runWorkflow(receiver);
  expect(run.conclusion).toBe('failure');
  expect(run.log).toContain('404: gone%0D%0A::set-output name=gone::100%25%0A::add-mask::the');
});

test('no output of the heartbeat is a command to the runner', async () => {
  const receiver = await startReceiver(secret);
  const work = 'echo "::add-mask::stopped" >> "$RUNNER_TEMP/heartbeat.log"';
  const run = await runWorkflow(receiver, { runner: { work } });
  expect(run.conclusion).toBe('success');
  expect(run.log).toContain('Heartbeat stopped');
});

test('a step of the workflow that fails before the work is named', async () => {
  const receiver = await startReceiver(secret);
  const run = await runWorkflow(receiver, { runner: { setUp: 'exit 3' } });
  expect(run.conclusion).toBe('failure');
  const failed = receiver.callbacks.find(({ body }) => body.status === 'failed')!;
  expect(failed.body).toMatchObject({
    failed_step: 'set-up',
    error: expect.stringMatching(
      new RegExp(`^The step set-up of the workflow failed: \\S+/actions/runs/${run.id}$`),
    ),
  });
});

test('without its checkout a run ends at once: no step asks for a script that is not there', async () => {
  const receiver = await startReceiver(secret);
  const bin = await makeFolder();
  // The sandbox's checkout is made of links.
  await writeFile(join(bin, 'ln'), '#!/bin/sh\necho "no checkout" >&2\nexit 1\n', { mode: 0o755 });
  const environment = { PATH: `${bin}:${process.env.PATH}` };
  const run = await runWorkflow(receiver, { environment });
  expect(run.conclusion).toBe('failure');
  expect(run.log).toContain('no checkout');
  expect(run.log).not.toMatch(/No such file|Run Main (Report|Start|Stop)/);
  expect(receiver.callbacks).toEqual([]);
});

test('no input breaks out of the shell or the JSON', async () => {
  const receiver = await startReceiver(secret);
  const mark = join(await makeFolder(), 'mark');
  const job_id = `"}\n', "status": "running"}; touch '${mark}' #$(touch '${mark}')\`touch '${mark}'\``;
  const run = await runWorkflow(receiver, { inputs: { job_id, agent_id: job_id, region: job_id } });
  expect(run.conclusion).toBe('success');
  expect(existsSync(mark)).toBe(false);
  for (const { body } of receiver.callbacks) expect(body.job_id).toBe(job_id);
  expect(receiver.kinds().at(-1)).toBe('running');
});

test.for([
  ['another host', (origin: string) => origin.replace('127.0.0.1', 'localhost')],
  ['another scheme', (origin: string) => origin.replace('http:', 'https:')],
  ['the right host as a user name', (origin: string) => `${origin}@127.0.0.1:1`],
  ['the right host as a beginning', (origin: string) => `${origin}0`],
] as const)('a callback address with %s is never signed for', async ([, change]) => {
  const receiver = await startReceiver(secret);
  const callback_url = receiver.url.replace(receiver.origin, change(receiver.origin));
  const run = await runWorkflow(receiver, { inputs: { callback_url } });
  expect(run.conclusion).toBe('failure');
  expect(receiver.callbacks).toEqual([]);
  expect(run.log).toMatch(
    /callback_url is not (at CALLBACK_ORIGIN: nothing was signed|the address of a service)/,
  );
});

test.for([
  ['another address of the service', '/api/agents?x=/api/webhooks/github'],
  ['a quotation mark', '/api/webhooks/github?a="\nurl = "http://127.0.0.1:1'],
] as const)('a callback address with %s is refused', async ([, path]) => {
  const receiver = await startReceiver(secret);
  const run = await runWorkflow(receiver, { inputs: { callback_url: receiver.origin + path } });
  expect(run).toMatchObject({
    conclusion: 'failure',
    log: expect.stringContaining('not the address of a service'),
  });
  expect(receiver.callbacks).toEqual([]);
});

test('without the variable CALLBACK_ORIGIN nothing is signed', async () => {
  const receiver = await startReceiver(secret);
  const run = await runWorkflow(receiver, { variables: { CALLBACK_ORIGIN: '' } });
  expect(run).toMatchObject({
    conclusion: 'failure',
    log: expect.stringContaining('no variable CALLBACK_ORIGIN'),
  });
  expect(receiver.callbacks).toEqual([]);
});

test('a callback is repeated if the service is briefly away', async () => {
  const receiver = await startReceiver(secret);
  receiver.answers.push(503);
  const run = await runWorkflow(receiver);
  expect(run.conclusion).toBe('success');
  expect(receiver.kinds().filter((kind) => kind !== 'heartbeat')).toEqual([
    'provisioning',
    'provisioning',
    'running',
  ]);
});

test('an attempt that is over does no work', async () => {
  const receiver = await startReceiver(secret);
  receiver.answers.push(409, 409);
  const mark = join(await makeFolder(), 'mark');
  const run = await runWorkflow(receiver, { runner: { work: `touch '${mark}'` } });
  expect(run.conclusion).toBe('failure');
  expect(existsSync(mark)).toBe(false);
  expect(receiver.kinds()).toEqual(['provisioning', 'failed']);
});

test('finished work whose report could not be delivered is not reported as failed', async () => {
  const receiver = await startReceiver(secret);
  const work = `until [ -s "$RUNNER_TEMP/heartbeat.log" ]; do sleep 0.1; done`;
  receiver.answers.push(200, 200, 401);
  const run = await runWorkflow(receiver, { runner: { work } });
  expect(run.conclusion).toBe('failure');
  expect(receiver.kinds()).toEqual(['provisioning', 'heartbeat', 'running']);
});

test.for([
  ['GitHub’s published example', "It's a Secret to Everybody"],
  ['exactly one block', 'b'.repeat(64)],
  ['more than one block', 'long '.repeat(30)],
  ['what printf and the shell read', '%s\\x41\\n%%`$()'],
] as const)('signs with %s as the secret', async ([, callbackSecret]) => {
  const receiver = await startReceiver(callbackSecret);
  // The first callback is answer enough; the run ends with it.
  receiver.answers.push(409, 409);
  await runWorkflow(receiver, { callbackSecret });
  expect(receiver.callbacks.map(({ signed }) => signed)).toEqual([true, true]);
});

describe('with an audience for identity tokens', () => {
  const variables = { OIDC_AUDIENCE: 'https://agents.example.com' };

  test('every callback carries one', async () => {
    const receiver = await startReceiver(secret);
    const environment = {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${receiver.origin}/token?api-version=1`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token',
    };
    const run = await runWorkflow(receiver, { variables, environment });
    expect(run.conclusion).toBe('success');
    const { callbacks } = receiver;
    expect(callbacks.length).toBeGreaterThanOrEqual(2);
    for (const { proof, signed } of callbacks)
      expect({ proof, signed }).toEqual({
        proof: 'Bearer bearer_request-token,_https://agents.example.com',
        signed: true,
      });
  });

  test('a job without the permission says so, and reports nothing', async () => {
    const receiver = await startReceiver(secret);
    const run = await runWorkflow(receiver, { variables });
    expect(run).toMatchObject({
      conclusion: 'failure',
      log: expect.stringContaining('lacks the permission id-token: write'),
    });
    expect(receiver.callbacks).toEqual([]);
  });
});
