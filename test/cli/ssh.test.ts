import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { generateAgentKeys } from '../../src/agents/secrets.ts';
import { knownHosts, sshArguments, withPrivateAgent } from '../../src/cli/ssh/command.ts';
import { understand } from '../support/run-command.ts';

test('everything after the agent is the remote command, options included', async () => {
  const command = (...argv: string[]) => understand('ssh', ...argv);
  expect(await command('a1')).toMatchObject({ name: 'ssh', agentId: 'a1', command: [] });
  expect(await command('a1', 'ls', '-la', '--json')).toMatchObject({ command: ['ls', '-la', '--json'] });
  expect(await command('a1', '--', 'uptime')).toMatchObject({ command: ['uptime'] });
  expect(await command('--help')).toMatchObject({ text: expect.stringContaining('agents ssh') });
  await expect(command()).rejects.toThrow('needs an agent id');
});

test('OpenSSH ignores the caller’s configuration, never prompts and knows one host', () => {
  const args = sshArguments({
    address: '100.64.0.7',
    knownHostsFile: '/tmp/a b/known_hosts',
    proxyCommand: '/t/tailscale --socket=/s nc %h %p',
    command: ['systemctl', 'status'],
  });
  expect(args.slice(0, 2)).toEqual(['-F', '/dev/null']);
  expect(args.slice(-4)).toEqual(['--', '100.64.0.7', 'systemctl', 'status']);
  expect(args.filter((_, index) => args[index - 1] === '-o')).toEqual([
    'User=ops',
    'ProxyCommand=/t/tailscale --socket=/s nc %h %p',
    'IdentityFile=none',
    'PreferredAuthentications=publickey',
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    'UserKnownHostsFile="/tmp/a b/known_hosts"',
    'GlobalKnownHostsFile=/dev/null',
    'UpdateHostKeys=no',
    'HostKeyAlgorithms=ssh-ed25519',
    'ForwardAgent=no',
    'ConnectTimeout=20',
    'ServerAliveInterval=15',
  ]);
});

test('the first host key, which user data held, counts only until the server is configured', () => {
  const keys = { hostPublicKey: 'ssh-ed25519 FIRST', nextHostPublicKey: 'ssh-ed25519 SECOND' };
  const second = '100.64.0.7 ssh-ed25519 SECOND\n';
  expect(knownHosts('100.64.0.7', keys, 'running')).toBe(second);
  expect(knownHosts('100.64.0.7', keys, 'stopped')).toBe(second);
  expect(knownHosts('100.64.0.7', keys, 'provisioning')).toBe(`100.64.0.7 ssh-ed25519 FIRST\n${second}`);
});

test('the private key reaches ssh through a private agent, not in an argument, file or variable', async ({
  skip,
}) => {
  const folder = mkdtempSync(join(tmpdir(), 'as-ssh-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  // Replaces ssh and prints what it was given.
  const fake = join(folder, 'ssh');
  writeFileSync(
    fake,
    '#!/bin/sh\nssh-add -L; echo "arguments: $*"; env; readlink /proc/$$/fd/3 || echo no third; ps -ww -eo args',
  );
  chmodSync(fake, 0o755);
  const keys = generateAgentKeys('a1');
  const [command, args] = withPrivateAgent(['100.64.0.7', 'uptime']);
  const child = spawn(command, args, {
    env: { PATH: `${folder}:${process.env.PATH}`, HOME: folder, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const failed = once(child, 'error').then(([error]) => error as NodeJS.ErrnoException);
  const key = child.stdio[3] as NodeJS.WritableStream;
  key.on('error', () => {});
  key.end(keys.sshPrivateKey);
  const said = text(child.stdout!);
  const ended = await Promise.race([once(child, 'exit'), failed]);
  skip(!Array.isArray(ended) && ended.code === 'ENOENT', 'no ssh-agent on this machine');
  const out = await said;
  expect(ended).toEqual([0, null]);
  expect(out).toContain(keys.sshPublicKey);
  expect(out).toContain('arguments: 100.64.0.7 uptime');
  expect(out).toContain('no third');
  const secret = keys.sshPrivateKey.split('\n')[2]!;
  expect(out).not.toContain(secret);
  expect(readFileSync(fake, 'utf8')).not.toContain(secret);
});
