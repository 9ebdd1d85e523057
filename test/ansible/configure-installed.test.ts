import { chmodSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ansibleFolder, describeWithAnsible, needsLinux } from './ansible-folder.ts';
import { setup, until } from './started-run.ts';

vi.setConfig({ testTimeout: 30_000 });

function tests(): void {
  let run: ReturnType<typeof setup>;
  beforeEach(() => {
    run = setup();
  });
  afterEach(() => run.close());

  /** An installation of Ansible that can be removed, and a playbook that waits for that and then fails. */
  function begin() {
    const program = join(run.folder, 'ansible-playbook');
    writeFileSync(program, `#!/bin/sh\nexec "${ansibleFolder}/ansible-playbook" "$@"\n`);
    chmodSync(program, 0o755);
    const [begun, go, playbook] = ['begun', 'go', 'wait.yml'].map((name) => join(run.folder, name)) as [
      string,
      string,
      string,
    ];
    const shell = `touch ${begun}; while ! test -e ${go}; do sleep 0.05; done; false`;
    const tasks = [{ 'ansible.builtin.shell': shell }];
    writeFileSync(playbook, JSON.stringify([{ hosts: 'agents', gather_facts: false, tasks }]));
    const environment = { AGENT_CONNECTION: 'local', AGENT_PLAYBOOK: playbook, ANSIBLE_BIN: run.folder };
    return { program, begun, go, started: run.start(environment) };
  }

  it.each([
    ['removed', (program: string) => rmSync(program)],
    [
      'replaced',
      (program: string) => {
        writeFileSync(`${program}.new`, '#!/bin/sh\n', { mode: 0o755 });
        renameSync(`${program}.new`, program);
      },
    ],
  ])('a run that fails after its Ansible was %s says so', async (what, change) => {
    const { program, begun, go, started } = begin();
    await until('the playbook waits', () => existsSync(begun));
    change(program);
    writeFileSync(go, '');
    const { code, stderr } = await started.ended;
    expect(code).toBe(1);
    expect(stderr).toContain(`configure: Ansible (${program}) was ${what} while this run used it`);
    expect(stderr).toContain('shared with another installation?');
  });

  it('a run that fails by itself does not', async () => {
    const { begun, go, started } = begin();
    await until('the playbook waits', () => existsSync(begun));
    writeFileSync(go, '');
    const { code, stderr } = await started.ended;
    expect({ code, blamed: /was (removed|replaced)/.test(stderr) }).toEqual({ code: 1, blamed: false });
  });
}

describeWithAnsible('configure, when its Ansible changes under it', tests, needsLinux);
