import { execFileSync } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { ansibleFolder, describeWithAnsible, needsLinux } from './ansible-folder.ts';
import { isInMemory, type PreparedProcess, processesWith, startPrepared } from './prepared-process.ts';
import { argumentLists, script, setup, until } from './started-run.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

function tests(): void {
  let scratch: string;
  let prepared: PreparedProcess;
  let run: ReturnType<typeof setup>;
  const ENGINE = randomUUID();

  beforeAll(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'cfg-'));
    prepared = await startPrepared(scratch);
  });
  afterAll(async () => {
    await prepared?.stop();
    rmSync(scratch, { recursive: true });
  });
  beforeEach(() => {
    run = setup({ AGENT_PREPARED: prepared.socket, AGENT_STACKS_RUNNER: ENGINE });
  });
  afterEach(() => run.close());

  /** A folder whose ansible-playbook must not be started. */
  function brokenAnsible(): string {
    const folder = join(run.folder, 'broken');
    mkdirSync(folder);
    writeFileSync(join(folder, 'ansible-playbook'), '#!/bin/sh\nexit 9\n');
    chmodSync(join(folder, 'ansible-playbook'), 0o755);
    symlinkSync(join(ansibleFolder as string, 'python3'), join(folder, 'python3'));
    return folder;
  }

  function playbook(tasks: object[]): Record<string, string> {
    const path = join(run.folder, 'playbook.yml');
    writeFileSync(path, JSON.stringify([{ hosts: 'agents', gather_facts: false, tasks }]));
    return { AGENT_CONNECTION: 'local', AGENT_PLAYBOOK: path };
  }

  const showEnvironment = [
    { 'ansible.builtin.command': { argv: ['env'] }, register: 'found', changed_when: false },
    { 'ansible.builtin.debug': { var: 'found.stdout_lines' } },
    { 'ansible.builtin.copy': { content: 'x', dest: `{{ lookup('env', 'HOME') }}/left` } },
  ];

  it('does a run without another start of Ansible, and keeps nothing of it', async () => {
    const before = readdirSync(dirname(prepared.socket), { recursive: true });
    const own = {
      ...playbook(showEnvironment),
      ANSIBLE_BIN: brokenAnsible(),
      HCLOUD_TOKEN: 'canary-of-the-caller',
      AGENT_ENVIRONMENT_FILE: join(run.folder, 'environment'),
    };
    writeFileSync(own.AGENT_ENVIRONMENT_FILE, 'TOKEN=canary-of-the-agent\n');
    expect(await run.start(own).ended).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^configured 3 tasks, 1 changed, \d+\.\d s\n$/),
      stderr: '',
    });
    expect(run.log()).toMatch(new RegExp(`HOME=${run.scratch}/agent-configure-`));
    expect(run.log()).not.toMatch(/canary|WARNING/);
    expect(run.scratchFolders()).toEqual([]);
    expect(readdirSync(dirname(prepared.socket), { recursive: true })).toEqual(before);
    expect(isInMemory(prepared.pid, 'ansible.cli.playbook')).toBe(true);
    expect(isInMemory(prepared.pid, 'canary-of-the-')).toBe(false);
  });

  it('says what is wrong as a run of its own does', async () => {
    const invalid = await run.start({ AGENT_CONNECTION: 'ssh', AGENT_HOST: 'nowhere' }).ended;
    expect(invalid).toMatchObject({ code: 2, stderr: expect.stringContaining('AGENT_HOST: must be an IP') });
    const tasks = [{ name: 'Have luck', 'ansible.builtin.fail': { msg: 'no luck' } }];
    expect(await run.start(playbook(tasks)).ended).toEqual({
      code: 1,
      stdout: '',
      stderr: 'configure: task "Have luck": failed\nno luck\n',
    });
  });

  it('declines a run of another service, which then does it itself', async () => {
    const AGENT_STACKS_WORKER = '1 another';
    const own = { ...playbook(showEnvironment), AGENT_STACKS_WORKER };
    expect(await run.start({ ...own, ANSIBLE_BIN: brokenAnsible() }).ended).toMatchObject({ code: 1 });
    expect(await run.start(own).ended).toMatchObject({ code: 0 });
  });

  it('ends, and leaves runs to others, once a file that it has loaded has changed', async () => {
    const copy = join(run.folder, 'ansible');
    cpSync(dirname(script), copy, { recursive: true });
    const other = await startPrepared(run.scratch, join(copy, 'configure'));
    appendFileSync(join(copy, 'callbacks', 'progress.py'), '# changed\n');
    const own = { ...playbook(showEnvironment), AGENT_PREPARED: other.socket };
    expect(await run.start(own).ended).toMatchObject({ code: 0 });
    expect(await other.ended).toBe(0);
    expect(run.scratchFolders()).toEqual([]);
  });

  /** A run that waits until its gate is opened, in a prepared process of which a loaded file has changed. */
  async function runInOutdated() {
    const copy = join(run.folder, 'ansible');
    cpSync(dirname(script), copy, { recursive: true });
    const other = await startPrepared(run.scratch, join(copy, 'configure'));
    const gate = join(run.folder, 'gate');
    execFileSync('mkfifo', [gate]);
    const waits = { 'ansible.builtin.shell': `touch ${run.folder}/waits; cat ${gate}` };
    const before = run.start({ ...playbook([waits]), AGENT_PREPARED: other.socket });
    await until('the playbook waits', () => existsSync(join(run.folder, 'waits')));
    appendFileSync(join(copy, 'callbacks', 'progress.py'), '# changed\n');
    const next = { ...playbook(showEnvironment), AGENT_PREPARED: other.socket };
    expect(await run.start(next).ended).toMatchObject({ code: 0 });
    return { other, before, open: () => writeFileSync(gate, '') };
  }

  it('ends only after its runs, once a file that it has loaded has changed', async () => {
    const { other, before, open } = await runInOutdated();
    expect([before.process.exitCode, other.process.exitCode]).toEqual([null, null]);
    open();
    expect(await before.ended).toMatchObject({ code: 0 });
    expect(await other.ended).toBe(0);
  });

  it('ends with its parent, although it waits for its runs', async () => {
    const { other, before } = await runInOutdated();
    expect(await other.stop()).toBe(0);
    expect(await before.ended).toMatchObject({ code: 143 });
  });

  it('is not asked where it is gone', async () => {
    const own = { ...playbook(showEnvironment), AGENT_PREPARED: join(run.folder, 'nothing') };
    expect(await run.start(own).ended).toMatchObject({ code: 0 });
  });

  /** Starts a run that hangs, and waits until its two sleepers run. */
  async function hang(more: Record<string, string> = {}) {
    const mark = `${randomInt(100_000, 1_000_000)}.${randomInt(1_000_000)}`;
    const sleeping = () => argumentLists().filter(({ text }) => text === `sleep ${mark}`);
    const shell = `setsid sleep ${mark} & sleep ${mark}`;
    // A prepared process has a folder of its own.
    const before = run.scratchFolders();
    const started = run.start({ ...playbook([{ 'ansible.builtin.shell': shell }]), ...more });
    await until('the playbook hangs', () => sleeping().length === 2);
    const folder = run.scratchFolders().find((one) => !before.includes(one));
    const ofRun = () =>
      processesWith(
        `AGENT_STACKS_RUNNER=${ENGINE}`,
        argumentLists().map(({ pid }) => pid),
      );
    const isGone = () => sleeping().length === 0 && ofRun().length === 0 && !existsSync(folder as string);
    return { started, folder: folder as string, ofRun, isGone };
  }

  /** The copy of the prepared process that does the run. */
  const copyOf = ({ pid }: PreparedProcess) =>
    Number(execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' }).trim());

  it('the processes of a run bear its tags, though they were forked', async () => {
    const { started, folder, ofRun } = await hang();
    const runId = /-([0-9a-f]{16})$/.exec(folder)?.[1];
    const pids = ofRun();
    expect(pids).toContain(copyOf(prepared));
    // The caller, the copy, Ansible, its worker, the shell and what that started.
    expect(pids.length).toBeGreaterThanOrEqual(6);
    const ansible = pids.filter((pid) => pid !== started.process.pid);
    expect(processesWith(`AGENT_STACKS_CONFIGURE_ID=${runId}`, pids)).toEqual(ansible);
    started.process.kill('SIGTERM');
    expect(await started.ended).toMatchObject({ code: 143, stderr: 'configure: stopped\n' });
  });

  it('a SIGKILL of the caller ends its run', async () => {
    const { started, isGone } = await hang();
    started.process.kill('SIGKILL');
    await until('everything is gone', isGone);
  });

  it('the caller cleans up after a killed copy', async () => {
    const { started, isGone } = await hang();
    process.kill(copyOf(prepared), 'SIGKILL');
    expect((await started.ended).code).toBe(137);
    await until('everything is gone', isGone);
  });

  it('a SIGKILL of the prepared process ends its runs; the next one does without', async () => {
    const mortal = await startPrepared(run.scratch);
    const { started, isGone } = await hang({ AGENT_PREPARED: mortal.socket });
    mortal.process.kill('SIGKILL');
    expect((await started.ended).code).toBe(143);
    await until('everything is gone', isGone);
    const next = { ...playbook(showEnvironment), AGENT_PREPARED: mortal.socket };
    expect(await run.start(next).ended).toMatchObject({ code: 0 });
    expect(run.scratchFolders()).toEqual([]);
  });
}

describeWithAnsible('a prepared process', tests, needsLinux);
