import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { prepareAct, RUN_TAG } from '../../sandbox/github/act.ts';
import { handOver } from '../../sandbox/github/hand-over.ts';
import { findTagged, killTagged } from '../../sandbox/processes.ts';
import { eventually } from '../support/eventually.ts';
import { act, noAct } from '../support/sandbox-github.ts';
import { inputs, secret, startReceiver, workflowOptions } from '../support/workflow.ts';

test('the heartbeat of a killed runner ends by itself', async ({ skip, onTestFinished }) => {
  skip(act === undefined, noAct);
  const receiver = await startReceiver(secret);
  const options = await workflowOptions(receiver, {
    runner: { work: 'sleep 300' },
    variables: { HEARTBEAT_SECONDS: '1' },
  });
  const folder = join(options.dir, 'runs', '1');
  const now = new Date();
  const run = {
    ...{ id: '1', number: 1, ref: 'main', inputs: { ...inputs, callback_url: receiver.url } },
    ...{ status: 'in_progress' as const, conclusion: null, cancel_requested_at: null },
    ...{ created_at: now, started_at: now, updated_at: now },
  };
  const { args, cwd, environment, secrets } = prepareAct(folder, run, options);
  const runner = spawn(act!, args, { cwd, env: environment, stdio: 'ignore' });
  onTestFinished(() => void killTagged(RUN_TAG, (value) => value === folder));
  await handOver(secrets.pipe, secrets.content, AbortSignal.timeout(20_000));
  const beats = () => receiver.kinds().filter((kind) => kind === 'heartbeat').length;
  await eventually('two heartbeats have come', () => beats() >= 2, { withinSeconds: 20 });
  runner.kill('SIGKILL');
  await once(runner, 'exit');
  // The processes that its terminal ends, and the loop, which no signal reaches.
  await eventually(
    'nothing of it runs',
    () => findTagged(RUN_TAG, (value) => value === folder).length === 0,
    {
      withinSeconds: 10,
    },
  );
  expect(receiver.kinds().at(-1)).toBe('heartbeat');
});
