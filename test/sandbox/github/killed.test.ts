import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { RUN_TAG } from '../../../sandbox/github/act.ts';
import type { SandboxAnswer, SandboxStartMessage } from '../../../sandbox/main.ts';
import { findTagged } from '../../../sandbox/processes.ts';
import { eventually } from '../../support/eventually.ts';
import { createDatabase } from '../../support/postgres.ts';
import { tokens } from '../../support/sandbox.ts';
import { act, callsTo, makeWorkflow, noAct, optionsFor } from '../../support/sandbox-github.ts';
import { filesBelow } from '../../support/secret-probes.ts';

const main = fileURLToPath(new URL('../../../sandbox/main.ts', import.meta.url));

async function startSandbox(message: Omit<SandboxStartMessage, 'type'>) {
  const child = fork(main, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  onTestFinished(() => killed(child));
  child.send({ type: 'start', ...message });
  const [answer] = (await once(child, 'message')) as [SandboxAnswer];
  if (answer.type !== 'ready') throw new Error(answer.message);
  return { child, ...callsTo(`${answer.url}/github`) };
}

async function killed(child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

test('after a SIGKILL the next sandbox cancels the run in progress, kills its orphans and runs the queued one', async ({
  skip,
}) => {
  skip(act === undefined, noAct);
  const database = await createDatabase('sandbox');
  onTestFinished(() => database.drop());
  const script = 'if [ "$JOB" = long ]; then setsid nohup sleep 300 < /dev/null & sleep 300; fi';
  const github = await optionsFor(await makeWorkflow(script));
  const message = {
    databaseUrl: database.url,
    port: 0,
    tokens,
    webhookUrl: 'http://127.0.0.1:1/api/webhooks/stripe',
    settings: { githubRunsAtOnce: 1 },
    github,
  };
  const first = await startSandbox(message);
  const long = await first.run({ job_id: 'long' });
  const short = await first.run({ job_id: 'short' });
  const running = () => findTagged(RUN_TAG, (folder) => folder.startsWith(github.dir));
  await eventually('its step runs', () => running().length >= 4, { withinSeconds: 20 });
  await killed(first.child);
  expect(running().length).toBeGreaterThan(0);
  const left = filesBelow(github.dir, /^$/);
  expect(left.length).toBeGreaterThan(0);
  expect(left.filter(({ text }) => text.includes('the callback secret')).map(({ path }) => path)).toEqual([]);

  const second = await startSandbox(message);
  expect((await second.until(long, 'completed')).conclusion).toBe('cancelled');
  expect((await second.until(short, 'completed')).conclusion).toBe('success');
  expect(running()).toEqual([]);
}, 60_000);
