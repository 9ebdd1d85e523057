import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { generateAgentKeys } from '../../src/agents/secrets.ts';
import { describeWithAnsible } from './ansible-folder.ts';
import { argumentLists, hostPublicKey, privateKeyWith, setup, until } from './started-run.ts';

describeWithAnsible('the secrets of a run', () => {
  let run: ReturnType<typeof setup>;
  afterEach(() => run.close());

  it('are in private files while it lasts, and nowhere else', { timeout: 30_000 }, async () => {
    run = setup();
    // Replaces ssh: records its arguments, and hangs.
    const folder = join(run.folder, 'bin');
    const noted = join(run.folder, 'ssh-arguments');
    mkdirSync(folder);
    writeFileSync(
      join(folder, 'ssh'),
      `#!/bin/sh\necho "$@" > ${noted}.new; mv ${noted}.new ${noted}\nexec sleep 600\n`,
    );
    chmodSync(join(folder, 'ssh'), 0o755);

    const hostKey = hostPublicKey();
    const keys = generateAgentKeys('agent-1');
    const secret = keys.nextHostPrivateKey.split('\n')[3] as string;
    const started = run.start({
      PATH: `${folder}:${process.env.PATH}`,
      AGENT_CONNECTION: 'ssh',
      AGENT_SSH_PRIVATE_KEY: privateKeyWith('canary-client-key'),
      AGENT_NEW_HOST_KEY: keys.nextHostPrivateKey,
      AGENT_HOST_PUBLIC_KEY: `${hostKey} a comment\n100.64.0.7 ${hostKey}`,
      AGENT_SSH_PROXY_COMMAND: 'nc %h %p',
    });
    const told = await until('ssh is called', () => existsSync(noted) && readFileSync(noted, 'utf8'));
    const config = /-F (\S+)\/ssh_config/.exec(told)?.[1] as string;
    expect(statSync(config).mode & 0o777).toBe(0o700);
    for (const name of ['key', 'inventory.yml', 'known_hosts', 'new_known_hosts', 'ssh_config']) {
      expect(statSync(join(config, name)).mode & 0o777, name).toBe(0o600);
    }
    expect(readFileSync(join(config, 'key'), 'utf8')).toBe(privateKeyWith('canary-client-key'));
    expect(readFileSync(join(config, 'known_hosts'), 'utf8')).toBe(`100.64.0.1 ${hostKey}\n`.repeat(2));
    expect(readFileSync(join(config, 'ssh_config'), 'utf8')).toMatch(/^ {2}ProxyCommand nc %h %p$/m);
    expect(readFileSync(join(config, 'ssh_config'), 'utf8')).toMatch(/^ {2}StrictHostKeyChecking yes$/m);
    // The private key's own file contains the public half.
    expect(readFileSync(join(config, 'new_known_hosts'), 'utf8')).toBe(
      `100.64.0.1 ${keys.nextHostPublicKey}\n`,
    );
    expect(readFileSync(join(config, 'inventory.yml'), 'utf8')).toContain(secret);
    expect(argumentLists().filter(({ text }) => text.includes('canary') || text.includes(secret))).toEqual(
      [],
    );

    started.process.kill('SIGTERM');
    const { code, stdout, stderr } = await started.ended;
    expect(code).toBe(143);
    expect(stdout + stderr + run.log()).not.toContain('canary');
    expect(stdout + stderr + run.log()).not.toContain(secret);
    expect(existsSync(config)).toBe(false);
  });
});
