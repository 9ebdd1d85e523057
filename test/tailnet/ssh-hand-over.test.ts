import { afterEach, expect, it } from 'vitest';
import { generateAgentKeys } from '../../src/agents/secrets.ts';
import { RetryableError } from '../../src/errors.ts';
import type { Tenant } from '../../src/tailnet/hand-over.ts';
import { createSshHandOver, type SshHandOver } from '../../src/tailnet/ssh-hand-over.ts';
import { type Program, type SshServer, startSshServer } from './ssh-server.ts';

const IP = '100.64.0.7';
/** The keys of a slot, and those of the agent that claims it, which also has the slot's. */
const slot = generateAgentKeys('slot-1');
const next = generateAgentKeys('a1');
const tenant: Tenant = {
  agentId: 'a1',
  healthPort: 8088,
  sshPrivateKey: slot.sshPrivateKey,
  hostPublicKey: slot.nextHostPublicKey,
  nextHostPrivateKey: next.nextHostPrivateKey,
  nextHostPublicKey: next.nextHostPublicKey,
};
const waiting = (hostPublicKey = slot.nextHostPublicKey) => ({
  tailnetIp: IP,
  isReady: true,
  login: () => ({ sshPrivateKey: slot.sshPrivateKey, hostPublicKeys: [hostPublicKey] }),
});
const soon = () => AbortSignal.timeout(4_000);

let server: SshServer;
let ssh: SshHandOver;
const start = async (hostPrivateKey: string, program?: Program, greeting?: string) => {
  server = await startSshServer(hostPrivateKey, {
    ...(program && { program }),
    ...(greeting !== undefined && { greeting }),
  });
  ssh = createSshHandOver(server.dial, { againMs: 50 });
};
afterEach(async () => {
  ssh.close();
  await server.close();
});

it('sends the agent’s id and new host key, and nothing else, to the program that waits', async () => {
  await start(slot.nextHostPrivateKey);
  await ssh.handOver(IP, tenant, soon());
  expect(server.commands).toEqual([expect.stringMatching(/^exec sudo -n .*agent-hand-over\.py$/)]);
  expect(server.lines.map((line) => JSON.parse(line))).toEqual([
    { agentId: 'a1', hostPrivateKey: next.nextHostPrivateKey, hostPublicKey: next.nextHostPublicKey },
  ]);
});

it('accepts the agent’s host key too, which a killed attempt has installed', async () => {
  await start(next.nextHostPrivateKey);
  await ssh.handOver(IP, tenant, soon());
  expect(server.lines).toHaveLength(1);
});

it.each([
  ['the host key of its user data', slot.hostPrivateKey],
  ['anybody’s', generateAgentKeys('other').hostPrivateKey],
])('sends nothing to a server that shows another host key: %s', async (_what, hostPrivateKey) => {
  await start(hostPrivateKey);
  await expect(ssh.handOver(IP, tenant, soon())).rejects.toThrow(/verification failed/);
  expect(server.commands).toEqual([]);
});

it('uses the path that is open, whose program was started before', async () => {
  await start(slot.nextHostPrivateKey);
  ssh.keepOpen([waiting()]);
  await expect.poll(() => server.commands.length).toBe(1);
  ssh.keepOpen([waiting()]);
  await ssh.handOver(IP, tenant, soon());
  expect(server.commands).toHaveLength(1);
  expect(server.lines).toHaveLength(1);
});

it('opens a path again that was cut, and only while the server waits', async () => {
  await start(slot.nextHostPrivateKey);
  ssh.keepOpen([waiting()]);
  await expect.poll(() => server.commands.length).toBe(1);
  server.cut();
  await expect
    .poll(() => {
      ssh.keepOpen([waiting()]);
      return server.commands.length;
    })
    .toBe(2);
  await ssh.handOver(IP, tenant, soon());
  expect(server.commands).toHaveLength(2);
});

it('opens a new one where it was cut', async () => {
  await start(slot.nextHostPrivateKey);
  ssh.keepOpen([waiting()]);
  await expect.poll(() => server.commands.length).toBe(1);
  server.cut();
  await ssh.handOver(IP, tenant, soon());
  expect(server.commands).toHaveLength(2);
  expect(server.lines).toHaveLength(1);
});

it('opens a new one where the open one stays silent, and repeats the line', async () => {
  let programs = 0;
  await start(slot.nextHostPrivateKey, (channel) => {
    programs += 1;
    if (programs > 1) channel.write('done\n');
  });
  ssh.keepOpen([waiting()]);
  await expect.poll(() => server.commands.length).toBe(1);
  await ssh.handOver(IP, tenant, soon());
  expect(new Set(server.lines).size).toBe(1);
  expect(server.lines).toHaveLength(2);
});

it('sends nothing over a path to a server that has the address of an earlier one', async () => {
  await start(generateAgentKeys('later').nextHostPrivateKey);
  const later = generateAgentKeys('later').nextHostPublicKey;
  ssh.keepOpen([waiting(later)]);
  await expect(ssh.handOver(IP, tenant, soon())).rejects.toThrow(RetryableError);
  expect(server.lines).toEqual([]);
});

it('closes the path to a server that waits no more', async () => {
  await start(slot.nextHostPrivateKey);
  ssh.keepOpen([waiting()]);
  await expect.poll(() => server.commands.length).toBe(1);
  ssh.keepOpen([]);
  ssh.keepOpen([waiting()]);
  await expect.poll(() => server.commands.length).toBe(2);
});

it('opens none to a server that was claimed meanwhile', async () => {
  await start(slot.nextHostPrivateKey);
  ssh.keepOpen([{ ...waiting(), isReady: false }]);
  await ssh.handOver(IP, tenant, soon());
  expect(server.commands).toHaveLength(1);
});

it.each<[string, Program, RegExp]>([
  ['says something else', (channel) => channel.write('perhaps\n'), /says "perhaps" instead of "done"/],
  ['never stops talking', (channel) => channel.write('x'.repeat(40_000)), /says too much/],
  [
    'fails',
    (channel) => {
      channel.stderr.write('no room\n');
      channel.exit(1);
      channel.end();
    },
    /no room/,
  ],
  ['hangs', () => {}, /longer than|aborted/],
])('gives a server up that %s', async (_what, program, why) => {
  await start(slot.nextHostPrivateKey, program);
  const signal = AbortSignal.timeout(1_000);
  await expect(ssh.handOver(IP, tenant, signal)).rejects.toThrow(why);
});

it('gives a server up whose program never starts', async () => {
  await start(slot.nextHostPrivateKey, undefined, '');
  await expect(ssh.handOver(IP, tenant, AbortSignal.timeout(500))).rejects.toThrow(/aborted/);
  expect(server.lines).toEqual([]);
});
