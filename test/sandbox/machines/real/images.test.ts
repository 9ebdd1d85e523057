import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually, install, type Sandbox, until, whyNot } from '../../../support/sandbox-machines.ts';

const limitMs = 300_000;
const hostKey = 'cut -d" " -f2 /etc/ssh/ssh_host_ed25519_key.pub';

async function finished(sandbox: Sandbox, { action }: { action: { id: number } }) {
  return until(async () => {
    const { action: now } = await sandbox.call('GET', `/actions/${action.id}`);
    return now.status === 'running' ? undefined : now.status;
  });
}

/** Starts a snapshot, waits until its action has ended, and returns the image. */
async function snapshot(sandbox: Sandbox, serverId: number) {
  const begun = await sandbox.call('POST', `/servers/${serverId}/actions/create_image`, {});
  expect(begun.image.status).toBe('creating');
  expect(await finished(sandbox, begun)).toBe('success');
  return (await sandbox.call('GET', `/images/${begun.image.id}`)).image;
}

test.skipIf(whyNot !== null)(
  `a server made from a snapshot has the disk of the one that was deleted${whyNot ?? ''}`,
  { timeout: limitMs },
  async () => {
    const installation = await install();
    let sandbox = await installation.start();
    const { publicKey, machinesDir } = installation;
    const { ssh_key: key } = await sandbox.call('POST', '/ssh_keys', { name: 'mine', public_key: publicKey });
    const order = { ssh_keys: [key.id], user_data: '#cloud-config\nssh_deletekeys: true\n' };
    const first = await sandbox.order({ name: 'first', ...order });
    const run = (ip: string, command: string) => eventually(() => sandbox.ssh(ip, command));
    await run(first.ip, 'cloud-init status --wait >/dev/null; rm /etc/motd; echo before >/root/kept');
    const oldKey = await run(first.ip, hostKey);

    // It goes on running while the copy is made.
    const early = await snapshot(sandbox, first.id);
    expect(early).toMatchObject({ status: 'available', created_from: { id: first.id } });
    expect(early.image_size).toBeGreaterThan(0.1);
    await run(first.ip, 'echo after >/root/kept; sync');
    await sandbox.call('POST', `/servers/${first.id}/actions/shutdown`);
    await until(async () => ((await sandbox.getStatus(first.id)) === 'off' ? true : undefined));
    // A sandbox that is killed while it copies copies again.
    const begun = await sandbox.call('POST', `/servers/${first.id}/actions/create_image`, {});
    await sandbox.end('SIGKILL');
    sandbox = await installation.start();
    expect(await finished(sandbox, begun)).toBe('success');
    await finished(sandbox, await sandbox.call('DELETE', `/servers/${first.id}`));
    await until(async () => (readdirSync(machinesDir).some((name) => /^\d/.test(name)) ? undefined : true));

    // The order keeps the copy, even if the image is deleted before the server starts.
    const second = await sandbox.order({ name: 'second', image: begun.image.id, ...order });
    await sandbox.call('DELETE', `/images/${begun.image.id}`);
    expect(
      await run(second.ip, 'hostname; cat /root/kept; ls /etc/motd 2>&1 | wc -l; test ! -e /etc/motd'),
    ).toBe('second\nafter\n1');
    expect(await run(second.ip, 'cloud-init status --wait >/dev/null; systemctl is-active ssh')).toBe(
      'active',
    );
    expect(await run(second.ip, hostKey)).not.toBe(oldKey);
    const copies = () => readdirSync(join(machinesDir, 'images'));
    await until(async () => (copies().length === 1 ? true : undefined));
    expect(copies()).toEqual([String(early.id)]);

    await sandbox.call('POST', `/servers/${second.id}/actions/rebuild`, { image: early.id });
    await until(
      async () => (await sandbox.ssh(second.ip, 'cat /root/kept').catch(() => '')) === 'before' || undefined,
    );
    await sandbox.call('DELETE', `/images/${early.id}`);
    await until(async () => (copies().length === 0 ? true : undefined));
  },
);
