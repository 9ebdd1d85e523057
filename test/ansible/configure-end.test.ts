import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { describeWithAnsible, needsLinux } from './ansible-folder.ts';
import { argumentLists, setup, until } from './started-run.ts';

vi.setConfig({ testTimeout: 30_000 });

function tests(): void {
  let run: ReturnType<typeof setup>;
  let mark: string;
  let environment: Record<string, string>;

  beforeEach(() => {
    run = setup();
    // A unique duration of sleep, by which the processes are found.
    mark = `${randomInt(100_000, 1_000_000)}.${randomInt(1_000_000)}`;
    environment = hanging(`setsid sleep ${mark} & sleep ${mark}`);
  });
  afterEach(() => run.close());

  /** Environment for a playbook whose only task is this shell command. */
  function hanging(shell: string): Record<string, string> {
    const playbook = join(run.folder, 'hang.yml');
    const tasks = [{ 'ansible.builtin.shell': shell }];
    writeFileSync(playbook, JSON.stringify([{ hosts: 'agents', gather_facts: false, tasks }]));
    return { AGENT_CONNECTION: 'local', AGENT_PLAYBOOK: playbook };
  }

  const sleeping = () => argumentLists().filter(({ text }) => text === `sleep ${mark}`);
  const everything = () =>
    argumentLists().filter(({ text }) => text.includes(mark) || text.includes(run.folder));
  const folderOf = (pid: number) =>
    run.scratchFolders().find((path) => path.includes(`-${pid}-`) || path.includes(`-${workerOf(pid)}-`));

  /** Starts the hanging playbook and waits until both of its sleepers run. */
  async function hang(more: Record<string, string> = {}, through: string[] = []) {
    const started = run.start({ ...environment, ...more }, through);
    await until('the playbook hangs', () => sleeping().length === 2);
    return started;
  }

  it('a time-out ends everything, including processes in another session that ignore SIGTERM', async () => {
    hanging(`(trap '' TERM; exec setsid sleep ${mark}) & sleep ${mark}`);
    // On a busy machine Ansible needs ten seconds to reach its first task.
    const started = await hang({ AGENT_TIMEOUT_SECONDS: '15' });
    const folder = folderOf(started.process.pid as number) as string;
    expect(existsSync(folder)).toBe(true);
    const { code, stderr } = await started.ended;
    expect(code).toBe(124);
    expect(stderr).toContain('configure: timed out after 15 s');
    expect(everything()).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  }, 90_000);

  it.each(['SIGTERM', 'SIGINT'] as const)('%s ends everything', async (signal) => {
    const started = await hang();
    const folder = folderOf(started.process.pid as number) as string;
    started.process.kill(signal);
    const { code, stderr } = await started.ended;
    expect({ code, stderr }).toEqual({ code: 143, stderr: 'configure: stopped\n' });
    expect(everything()).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });

  it('so does the death of the parent', async () => {
    const started = await hang({}, ['/bin/sh', '-c', '"$0"; true']);
    started.process.kill('SIGKILL');
    await until('everything is gone', () => everything().length === 0);
    await started.ended;
  });

  it('and a SIGKILL of configure itself, which is how Pulumi cancels', async () => {
    const started = await hang();
    const folder = folderOf(started.process.pid as number) as string;
    started.process.kill('SIGKILL');
    await until('everything is gone', () => everything().length === 0);
    await until('the folder is gone', () => !existsSync(folder));
  });

  it('the guard cleans up after a killed worker', async () => {
    const started = await hang();
    const folder = folderOf(started.process.pid as number) as string;
    process.kill(workerOf(started.process.pid as number), 'SIGKILL');
    expect((await started.ended).code).toBe(137);
    expect(everything()).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });

  it('if both were killed, the next run removes their leftovers, and nothing of a live run', async () => {
    const dead = await hang();
    const guard = dead.process.pid as number;
    const worker = workerOf(guard);
    const leftover = folderOf(guard) as string;
    process.kill(guard, 'SIGSTOP');
    process.kill(worker, 'SIGKILL');
    process.kill(guard, 'SIGKILL');
    await until('the worker is gone', () => !argumentLists().some(({ pid }) => pid === worker));
    expect(existsSync(leftover)).toBe(true);
    expect(sleeping().length).toBeGreaterThan(0);

    const strays = sleeping().map(({ pid }) => pid);
    const living = run.start(environment);
    await until(
      'the living run hangs',
      () => sleeping().filter(({ pid }) => !strays.includes(pid)).length === 2,
    );
    expect(sleeping()).toHaveLength(2);
    expect(existsSync(leftover)).toBe(false);

    expect((await run.start({ AGENT_CONNECTION: 'simulated' }).ended).code).toBe(0);
    expect(existsSync(folderOf(living.process.pid as number) as string)).toBe(true);
    expect(sleeping()).toHaveLength(2);
  });
}

function workerOf(guard: number): number {
  return Number(
    execFileSync('ps', ['-o', 'pid=', '--ppid', String(guard)], { encoding: 'utf8' }).trim() || 0,
  );
}

describeWithAnsible('the end of a run', tests, needsLinux);
