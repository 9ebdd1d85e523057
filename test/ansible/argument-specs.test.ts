import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { ansibleFolder, describeWithAnsible } from './ansible-folder.ts';

const config = join(import.meta.dirname, '../../ansible/ansible.cfg');

/** Runs one role in check mode on this machine, as the current user; changes nothing. */
async function check(role: string, vars: Record<string, unknown>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'argument-specs-'));
  const playbook = join(folder, 'play.yml');
  const host = { ansible_connection: 'local' };
  writeFileSync(join(folder, 'inventory.yml'), JSON.stringify({ agents: { hosts: { here: host } } }));
  writeFileSync(
    playbook,
    JSON.stringify([{ hosts: 'agents', gather_facts: false, roles: [{ role, vars, tags: [role] }] }]),
  );
  const args = ['--check', '-i', join(folder, 'inventory.yml'), playbook];
  const env = { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C.UTF-8', ANSIBLE_CONFIG: config };
  try {
    await promisify(execFile)(join(ansibleFolder as string, 'ansible-playbook'), args, { env });
    return '';
  } catch (error) {
    return (error as { stdout: string }).stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describeWithAnsible('the arguments of the roles', () => {
  it.each([
    ['tailnet', ['tailnet_address']],
    ['hardening', ['hardening_health_port']],
    ['agent', ['agent_id', 'agent_host', 'agent_health_port']],
  ])('%s names missing ones', { timeout: 30_000 }, async (role, required) => {
    const output = await check(role, {});
    expect(output).toContain('missing required arguments');
    for (const name of required)
      expect(output).toMatch(new RegExp(`missing required arguments:.*\\b${name}\\b`));
  });

  it('an invalid port is refused', { timeout: 30_000 }, async () => {
    expect(await check('hardening', { hardening_health_port: 'eighty' })).toMatch(
      /hardening_health_port.*int/,
    );
  });
});

describeWithAnsible('the disk of an image', () => {
  it('gets none of the operator’s packages, whose scripts may make keys', { timeout: 30_000 }, async () => {
    const vars = {
      agent_id: 'a1',
      agent_host: '100.64.0.1',
      agent_health_port: 8088,
      agent_host_private_key: 'x',
      agent_host_public_key: 'x',
      agent_packages: ['a-package-that-no-distribution-has'],
      agent_becomes_image: true,
    };
    expect(await check('agent', vars)).toBe('');
  });
});
