import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { secret, startReceiver } from '../../support/workflow.ts';
import { makeJob } from './setup.ts';

/** A job whose runner is a process that does nothing. */
async function setup(seconds = '1') {
  const receiver = await startReceiver(secret);
  const job = await makeJob(receiver);
  const runner = spawn('sleep', ['300'], { stdio: 'ignore' });
  onTestFinished(async () => {
    await end(runner);
    await job.run('stop-heartbeat.sh');
  });
  const environment = { HEARTBEAT_SECONDS: seconds };
  const started = await job.run('start-heartbeat.sh', { args: [String(runner.pid)], environment });
  const [, pid] = /^Heartbeat every \d+ s in process (\d+)\n$/.exec(started.out) ?? [];
  expect(started).toMatchObject({ code: 0, err: '' });
  const untilBeats = (count: number) =>
    eventually(`${count} heartbeats have come`, () => receiver.callbacks.length >= count, {
      withinSeconds: 20,
    });
  return { ...job, receiver, runner, started, pid: Number(pid), untilBeats };
}

async function end(runner: ChildProcess): Promise<void> {
  if (runner.exitCode !== null || runner.signalCode !== null) return;
  runner.kill('SIGKILL');
  await once(runner, 'exit');
}

/** Whether a process of the group runs; one that has ended and is not yet fetched does not. */
const isRunning = (group: number) => {
  const { pid } = process;
  if (group === pid) throw new Error('It has no group of its own');
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
};
const untilOver = (group: number) =>
  eventually('nothing of it runs', () => !isRunning(group), { withinSeconds: 20 });

test('beats until it is stopped; what it has said is printed, and is no command to the runner', async () => {
  const { run, temp, receiver, pid, untilBeats } = await setup();
  await untilBeats(2);
  for (const { signed, body } of receiver.callbacks)
    expect({ signed, type: body.type }).toEqual({ signed: true, type: 'heartbeat' });
  const { code, out } = await run('stop-heartbeat.sh');
  expect(code).toBe(0);
  expect(out).toMatch(
    /^::stop-commands::([0-9a-f]{48})\n(?:\S+Z heartbeat: 0\n)+::\1::\nHeartbeat stopped\n$/,
  );
  await untilOver(pid);
  expect(existsSync(join(temp, 'heartbeat.pid'))).toBe(false);
});

test('stopping what was never started says nothing', async () => {
  const { run } = await makeJob();
  expect(await run('stop-heartbeat.sh')).toEqual({ code: 0, out: '', err: '' });
});

test('ends with the process of the runner', async () => {
  const { runner, pid, untilBeats } = await setup();
  await untilBeats(1);
  expect(isRunning(pid)).toBe(true);
  await end(runner);
  await untilOver(pid);
});

test('ends with its attempt, and continues if the service does not accept a report', async () => {
  const { temp, receiver, pid, untilBeats } = await setup();
  receiver.answers.push(401, 409);
  await untilBeats(2);
  await untilOver(pid);
  const log = await readFile(join(temp, 'heartbeat.log'), 'utf8');
  expect(log).toMatch(/heartbeat: 1\n[\s\S]*heartbeat: 9\n$/);
});

test.for(['', '0', '-5', '1 ; id', 'x'])('%j as its seconds means a minute', async (seconds) => {
  const { started } = await setup(seconds);
  expect(started.out).toMatch(/^Heartbeat every 60 s/);
});
