import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { describeWithAnsible } from './ansible-folder.ts';
import { setup } from './started-run.ts';

const slow = 30_000;

describeWithAnsible('a run of configure', () => {
  let run: ReturnType<typeof setup>;
  afterEach(() => run.close());

  /** Environment of a run of these tasks on this machine. */
  function local(tasks: object[]): Record<string, string> {
    const playbook = join(run.folder, 'playbook.yml');
    writeFileSync(playbook, JSON.stringify([{ hosts: 'agents', gather_facts: false, tasks }]));
    return { AGENT_CONNECTION: 'local', AGENT_PLAYBOOK: playbook };
  }

  it('only checks the real playbook for a simulated machine, and says so', {
    timeout: slow,
  }, async () => {
    run = setup();
    const { code, stdout, stderr } = await run.start({ AGENT_CONNECTION: 'simulated' }).ended;
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'syntax checked (simulated machine)\n',
      stderr: '',
    });
    expect(statSync(run.logFile).mode & 0o777).toBe(0o600);
    expect(run.log()).toMatch(/playbook: .*site\.yml/);
  });

  it('checks a version of the playbook once where the caller names a file for it', {
    timeout: slow,
  }, async () => {
    run = setup({ AGENT_CONNECTION: 'simulated' });
    const AGENT_CHECKED_FILE = join(run.folder, 'checked');
    const ANSIBLE_BIN = '/nonexistent';
    expect(await run.start({ AGENT_CHECKED_FILE, ANSIBLE_BIN }).ended).toMatchObject({ code: 2 });
    expect(existsSync(AGENT_CHECKED_FILE)).toBe(false);
    const first = await run.start({ AGENT_CHECKED_FILE }).ended;
    expect(first).toEqual({ code: 0, stdout: 'syntax checked (simulated machine)\n', stderr: '' });
    const again = { code: 0, stdout: 'syntax checked before (simulated machine)\n', stderr: '' };
    expect(await run.start({ AGENT_CHECKED_FILE, ANSIBLE_BIN }).ended).toEqual(again);
    // What only an agent's own run can know is still required, and a server is never taken as checked.
    for (const own of [{ AGENT_HOST: '' }, { AGENT_CONNECTION: 'ssh' }])
      expect(await run.start({ AGENT_CHECKED_FILE, ...own }).ended).toMatchObject({ code: 2 });
  });

  it('counts tasks and changes, and appends to the log', { timeout: slow }, async () => {
    run = setup();
    const environment = local([
      { 'ansible.builtin.debug': { msg: 'for {{ agent_id }}' } },
      { 'ansible.builtin.command': { argv: ['true'] }, changed_when: true },
    ]);
    writeFileSync(run.logFile, 'earlier\nagent-x : ok=90 changed=90\n', { mode: 0o644 });
    const { code, stdout } = await run.start(environment).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^configured 2 tasks, 1 changed, \d+\.\d s\n$/);
    expect(run.log()).toMatch(/^earlier\n(.*\n)*.*for agent-1/);
    expect(statSync(run.logFile).mode & 0o777).toBe(0o600);
  });

  it('says which task failed and why, in lines of limited length', { timeout: slow }, async () => {
    run = setup();
    const long = 'x'.repeat(5000);
    const { code, stdout, stderr } = await run.start(
      local([
        { name: 'Say much', 'ansible.builtin.debug': { msg: [...Array(40).keys()].map(String) } },
        { name: 'Have luck', 'ansible.builtin.fail': { msg: `no luck\n${long}` } },
      ]),
    ).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toEqual([
      'configure: task "Have luck": failed',
      'no luck',
      'x'.repeat(1000),
    ]);
    expect(run.log()).toMatch(/^progress: Say much: ok \(\d\.\d s\)$/m);
    expect(run.log()).toMatch(/^progress: Have luck: failed \(\d\.\d s\)$/m);
  });

  it('writes its progress to a separate file, which a machine cannot write to', {
    timeout: slow,
  }, async () => {
    run = setup();
    const file = join(run.folder, 'progress');
    const lie = 'x\\nprogress: Everything: ok (0.1 s)\\n';
    const forge = { argv: ['sh', '-c', `printf '${lie}'; printf '${lie}' >&2; exit 1`] };
    const { code } = await run.start({
      ...local([
        { name: 'One\n two', 'ansible.builtin.command': { argv: ['true'] } },
        { name: 'Forge', 'ansible.builtin.command': forge },
      ]),
      AGENT_PROGRESS_FILE: file,
    }).ended;
    expect(code).toBe(1);
    expect(run.log()).toContain('Everything: ok');
    expect(readFileSync(file, 'utf8')).toMatch(
      /^One two: changed \(\d\.\d s\)\nForge: failed \(\d\.\d s\)\n$/,
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('writes when each task began and ended, and names the operation in its log', {
    timeout: slow,
  }, async () => {
    run = setup();
    const file = join(run.folder, 'spans');
    const id = '1b4e28ba-2fa1-11d2-883f-0016d3cca427';
    const trace = id.replaceAll('-', '');
    const before = Date.now() / 1000;
    await run.start({
      ...local([
        { name: 'One', 'ansible.builtin.command': { argv: ['sleep', '0.3'] } },
        { name: 'Not now', 'ansible.builtin.command': { argv: ['true'] }, when: false },
        { name: 'Fail', 'ansible.builtin.fail': { msg: 'no luck' } },
      ]),
      AGENT_SPANS_FILE: file,
      AGENT_OPERATION_ID: id,
      TRACEPARENT: `00-${trace}-00f067aa0ba902b7-01`,
    }).ended;
    const spans = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(spans.map(({ kind, name, outcome, changed }) => [kind, name, outcome, changed])).toEqual([
      ['task', 'One', 'success', true],
      ['task', 'Not now', 'skip', undefined],
      ['task', 'Fail', 'failure', undefined],
      ['play', 'ansible-playbook', 'failure', undefined],
    ]);
    const [one] = spans;
    expect(one.start).toBeGreaterThanOrEqual(before);
    expect(one.end - one.start).toBeGreaterThanOrEqual(0.3);
    expect(readFileSync(file, 'utf8')).not.toContain('no luck');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(run.log()).toMatch(
      new RegExp(`^progress: One: changed \\(.+ s\\) operation=${id} trace=${trace}$`, 'm'),
    );
  });

  it('shows nothing of a task whose output is secret', { timeout: slow }, async () => {
    run = setup();
    const { code, stderr } = await run.start(
      local([
        {
          name: 'Be discreet',
          'ansible.builtin.command': { argv: ['sh', '-c', 'echo {{ agent_host }}; exit 3'] },
          no_log: true,
        },
      ]),
    ).ended;
    expect(code).toBe(1);
    expect(stderr).toContain('configure: task "Be discreet": failed');
    expect(stderr + run.log()).not.toContain('100.64.0.1');
  });

  it('shows the end of the log if no task was reached', { timeout: slow }, async () => {
    run = setup();
    const { code, stderr } = await run.start(local([{ 'ansible.builtin.no_such_module': {} }])).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^configure: /);
    expect(stderr).toContain('no_such_module');
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(21);
  });

  it('gives Ansible none of the credentials of its caller', { timeout: slow }, async () => {
    run = setup({
      HCLOUD_TOKEN: 'canary',
      TAILSCALE_API_KEY: 'canary',
      PULUMI_CONFIG_PASSPHRASE: 'canary',
      STRIPE_SECRET_KEY: 'canary',
      ANSIBLE_STDOUT_CALLBACK: 'canary',
      SSH_AUTH_SOCK: '/canary',
    });
    const environment = local([
      { 'ansible.builtin.command': { argv: ['env'] }, register: 'found', changed_when: false },
      { 'ansible.builtin.debug': { var: 'found.stdout_lines' } },
    ]);
    const { code } = await run.start(environment).ended;
    expect(code).toBe(0);
    expect(run.log()).toContain('PATH=');
    expect(run.log()).not.toContain('canary');
  });
});
