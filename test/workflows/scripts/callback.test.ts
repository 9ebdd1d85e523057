import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inputs, secret, startReceiver } from '../../support/workflow.ts';
import { makeJob } from './setup.ts';

const job = { job_id: inputs.job_id, workflow_run_id: '900' };

test('signs and sends its arguments with the job and the run', async () => {
  const receiver = await startReceiver(secret);
  const { temp, run } = await makeJob(receiver);
  const args = ['status=failed', 'error=a=b\n"c" \\ $(id) — ü🙂', 'failed_step='];
  expect(await run('callback.sh', { args })).toEqual({ code: 0, out: '', err: '' });
  expect(receiver.callbacks).toEqual([
    {
      path: '/api/webhooks/github?attempt=1&token=abc',
      signed: true,
      proof: undefined,
      body: { ...job, status: 'failed', error: 'a=b\n"c" \\ $(id) — ü🙂' },
    },
  ]);
  expect(await readdir(temp)).toEqual(['bin']);
});

test('of a long text the end is sent', async () => {
  const receiver = await startReceiver(secret);
  const { run } = await makeJob(receiver);
  await run('callback.sh', { args: [`error=first ${'ü'.repeat(5_000)} last`] });
  const { error } = receiver.callbacks[0]!.body as { error: string };
  expect(error).toHaveLength(4_000);
  expect(error).toMatch(/^ü+ last$/);
});

test.for([
  [201, 0],
  [404, 9],
  [409, 9],
  [400, 1],
  [401, 1],
])('an answer of %i ends it with %i', async ([status, code]) => {
  const receiver = await startReceiver(secret, 'said\n::set-output name=x::100%');
  receiver.answers.push(status!);
  const { run } = await makeJob(receiver);
  const ended = await run('callback.sh', { args: ['type=heartbeat'] });
  expect(ended).toMatchObject({ code, out: '' });
  expect(ended.err).toBe(
    code === 0 ? '' : `::error::The service answered ${status}: said%0A::set-output name=x::100%25\n`,
  );
  expect(receiver.callbacks).toHaveLength(1);
});

test('retries what may pass, with growing pauses, and gives up in the end', async () => {
  const receiver = await startReceiver(secret);
  const { temp, run, replace } = await makeJob(receiver);
  await replace('sleep', 'echo "$1" >> "$RUNNER_TEMP/pauses"');
  receiver.answers.push(503, 429, 408);
  expect(await run('callback.sh')).toMatchObject({ code: 0 });
  expect(receiver.callbacks).toHaveLength(4);
  receiver.answers.push(...Array<number>(5).fill(500));
  const ended = await run('callback.sh');
  expect(ended).toMatchObject({
    code: 1,
    err: expect.stringMatching(/::error::The service did not accept the report\n$/),
  });
  expect(receiver.callbacks).toHaveLength(9);
  expect((await readFile(join(temp, 'pauses'), 'utf8')).split('\n')).toEqual([
    ...['0', '2', '4', '8'],
    ...['0', '2', '4', '8', '16', ''],
  ]);
});

test.for([
  ['CALLBACK_URL', 'http://127.0.0.1:1/api/agents', 'callback_url is not the address of a service'],
  [
    'CALLBACK_URL',
    'http://a@127.0.0.1:1/api/webhooks/github',
    'callback_url is not the address of a service',
  ],
  [
    'CALLBACK_URL',
    'http://127.0.0.1:1/api/webhooks/github',
    'callback_url is not at CALLBACK_ORIGIN: nothing was signed',
  ],
  ['CALLBACK_ORIGIN', '', 'The repository has no variable CALLBACK_ORIGIN'],
  ['GITHUB_CALLBACK_SECRET', '', 'The repository has no secret CALLBACK_SECRET'],
  ['OIDC_AUDIENCE', 'a"\nurl = "x', 'OIDC_AUDIENCE has characters that an audience must not have'],
  ['OIDC_AUDIENCE', 'agents', 'OIDC_AUDIENCE is set, and this job lacks the permission id-token: write'],
] as const)('with %s=%j nothing is sent', async ([name, value, message]) => {
  const receiver = await startReceiver(secret);
  const { run } = await makeJob(receiver);
  const ended = await run('callback.sh', { environment: { [name]: value } });
  expect(ended).toEqual({ code: 1, out: '', err: `::error::${message}\n` });
  expect(receiver.callbacks).toEqual([]);
});

test('no argument of a process holds a secret, a signature, an address or a token', async () => {
  const receiver = await startReceiver(secret);
  const { temp, run, replace } = await makeJob(receiver);
  for (const name of ['curl', 'openssl', 'od', 'tr', 'cut', 'cat', 'head'])
    await replace(
      name,
      `printf '%s\\n' "$0" "$@" >> '${temp}/arguments'\nexec "$(PATH=\${PATH#*:} type -P ${name})" "$@"`,
    );
  const grant = {
    OIDC_AUDIENCE: 'agents',
    ACTIONS_ID_TOKEN_REQUEST_URL: `${receiver.origin}/token?a=b`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'the-grant',
  };
  expect(await run('callback.sh', { environment: grant })).toMatchObject({ code: 0 });
  expect(receiver.callbacks).toMatchObject([{ signed: true, proof: 'Bearer bearer_the-grant,_agents' }]);
  const given = await readFile(join(temp, 'arguments'), 'utf8');
  for (const program of ['curl', 'openssl', 'od']) expect(given).toContain(`/bin/${program}\n`);
  for (const word of ['Secret', 'X-Signature', receiver.origin, 'token=abc', 'the-grant', 'earer'])
    expect(given, word).not.toContain(word);
});
