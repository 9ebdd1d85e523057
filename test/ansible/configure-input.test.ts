import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { generateAgentKeys } from '../../src/agents/secrets.ts';
import { describeWithAnsible } from './ansible-folder.ts';
import { hostPublicKey, privateKeyWith, setup } from './started-run.ts';

describeWithAnsible('the inputs of configure', () => {
  let run: ReturnType<typeof setup>;
  afterEach(() => run.close());

  it('names everything that is missing or malformed at once, and shows no value', async () => {
    run = setup({
      AGENT_ID: 'Not-An-Id-canary',
      AGENT_HOST: '-oProxyCommand=canary',
      AGENT_HEALTH_PORT: '70000',
      AGENT_CONNECTION: 'ssh',
      AGENT_SSH_PRIVATE_KEY: 'canary',
      AGENT_HOST_PUBLIC_KEY: 'ssh-ed25519 canary',
      AGENT_LOG_FILE: 'canary/log',
      AGENT_TIMEOUT_SECONDS: '0',
      AGENT_NEW_HOST_KEY: 'canary',
      AGENT_SSH_PROXY_COMMAND: 'nc canary\nUser root',
      ANSIBLE_BIN: '/canary',
    });
    const { code, stdout, stderr } = await run.start().ended;
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(
      stderr
        .match(/^ {2}[A-Z_]+(?=: must |: no )/gm)
        ?.map((name) => name.trim())
        .sort(),
    ).toEqual([
      'AGENT_HEALTH_PORT',
      'AGENT_HOST',
      'AGENT_HOST_PUBLIC_KEY',
      'AGENT_ID',
      'AGENT_LOG_FILE',
      'AGENT_NEW_HOST_KEY',
      'AGENT_SSH_PRIVATE_KEY',
      'AGENT_SSH_PROXY_COMMAND',
      'AGENT_TIMEOUT_SECONDS',
      'ANSIBLE_BIN',
    ]);
    expect(stderr).not.toContain('canary');
  });

  it('asks for the keys of a server that is reached over SSH; an empty variable counts as unset', async () => {
    run = setup({ AGENT_CONNECTION: 'ssh', AGENT_SSH_PRIVATE_KEY: '', AGENT_ID: '' });
    const { code, stderr } = await run.start().ended;
    expect(code).toBe(2);
    expect(stderr).toContain('AGENT_ID: missing');
    expect(stderr).toContain('AGENT_SSH_PRIVATE_KEY: missing');
    expect(stderr).toContain('AGENT_HOST_PUBLIC_KEY: missing');
    expect(stderr).toContain('AGENT_NEW_HOST_KEY: missing');
    expect(existsSync(run.logFile)).toBe(false);
  });

  it('accepts one complete choice of the agent’s software, and shows no value', async () => {
    run = setup({ AGENT_CONNECTION: 'simulated' });
    const environmentFile = join(run.folder, 'environment');
    writeFileSync(environmentFile, '# a comment\n\nAPI_KEY=canary\ncanary without a name\n');
    const two = await run.start({
      AGENT_NPM_PACKAGE: 'canary@1',
      AGENT_BINARY: 'https://example.com/canary',
      AGENT_ROLE: 'canary',
      AGENT_ENVIRONMENT_FILE: environmentFile,
    }).ended;
    expect(two.code).toBe(2);
    expect(two.stderr.trimEnd().split('\n').slice(1)).toEqual([
      '  AGENT_NPM_PACKAGE, AGENT_BINARY, AGENT_ROLE: set only one of them',
      expect.stringMatching(/AGENT_COMMAND: required with AGENT_(NPM_PACKAGE|ROLE)$/),
      '  AGENT_BINARY_SHA256: must be 64 hex digits, for a binary at an address',
      '  AGENT_ROLE: must be the absolute path of a role: a folder with a tasks folder',
      '  AGENT_ENVIRONMENT_FILE: line 4 is not NAME=value',
    ]);
  });

  it('runs another playbook only on this machine', async () => {
    run = setup({
      AGENT_CONNECTION: 'ssh',
      AGENT_SSH_PRIVATE_KEY: privateKeyWith('AAAA'),
      AGENT_HOST_PUBLIC_KEY: hostPublicKey(),
      AGENT_NEW_HOST_KEY: generateAgentKeys('agent-1').nextHostPrivateKey,
      AGENT_PLAYBOOK: '/etc/hostname',
    });
    const refused = await run.start().ended;
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/^ {2}AGENT_PLAYBOOK: only allowed with AGENT_CONNECTION=local/m);

    const missing = await run.start({ AGENT_CONNECTION: 'local', AGENT_PLAYBOOK: '' }).ended;
    expect(missing.stderr).toContain('AGENT_PLAYBOOK: missing');
  });
});
