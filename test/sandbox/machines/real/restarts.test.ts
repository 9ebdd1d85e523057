import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { eventually, install, until, whyNot } from '../../../support/sandbox-machines.ts';
import { leftovers, machinesTag, nothing } from './leftovers.ts';

const limitMs = 300_000;

/** An installation with one server, whose disk has a file with its name. */
async function orderOne(name: string) {
  const installation = await install();
  const sandbox = await installation.start();
  const key = { name: 'mine', public_key: installation.publicKey };
  const { ssh_key } = await sandbox.call('POST', '/ssh_keys', key);
  const { id, ip } = await sandbox.order({ name: 'one', ssh_keys: [ssh_key.id] });
  await eventually(() => sandbox.ssh(ip, `echo ${name} >/root/whose`));
  return { installation, sandbox, id, ip };
}

test.skipIf(whyNot !== null)(
  `machines keep their disks when the sandbox stops, and nothing else; another installation’s machines keep running${whyNot ?? ''}`,
  { timeout: limitMs },
  async () => {
    const [own, neighbour] = await Promise.all([orderOne('own'), orderOne('neighbour')]);
    // The same address in two networks: neither sees the other.
    expect(neighbour.ip).toBe(own.ip);
    // A machine that still boots may restart its SSH server after the first answer.
    expect(await eventually(() => neighbour.sandbox.ssh(neighbour.ip, 'cat /root/whose'))).toBe('neighbour');
    const { machinesDir } = own.installation;

    await own.sandbox.end('SIGKILL');
    await until(async () => {
      const { tagged, onDisks } = leftovers(machinesDir);
      return tagged.length + onDisks.length === 0 ? true : undefined;
    });

    const environment = { PATH: process.env.PATH, AGENT_STACKS_MACHINES: machinesTag(machinesDir) };
    const stray = spawn('sleep', ['60'], { env: environment, stdio: 'ignore' });
    const ended = once(stray, 'exit');
    const next = await own.installation.start();
    expect(await ended).toEqual([null, 'SIGKILL']);
    expect(await eventually(() => next.ssh(own.ip, 'cat /root/whose'))).toBe('own');
    expect(await next.getStatus(own.id)).toBe('running');

    await next.end('SIGTERM');
    expect(leftovers(machinesDir)).toEqual(nothing);
    expect(await eventually(() => neighbour.sandbox.ssh(neighbour.ip, 'cat /root/whose'))).toBe('neighbour');
  },
);
