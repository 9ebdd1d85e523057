import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { eventually, install, type Sandbox, until, whyNot } from '../../../support/sandbox-machines.ts';
import { leftovers, nothing } from './leftovers.ts';

const limitMs = 300_000;
const bootId = 'cat /proc/sys/kernel/random/boot_id';

/** Waits for a boot other than `before`. */
const otherBoot = (sandbox: Sandbox, ip: string, before: string) =>
  until(async () => {
    const now = await sandbox.ssh(ip, bootId).catch(() => before);
    return now === before ? undefined : now;
  });

/** Waits until the API reports this status for a server. */
const status = (sandbox: Sandbox, id: number, wanted: string) =>
  until(async () => ((await sandbox.getStatus(id)) === wanted ? true : undefined));

/** Whether a port is open, seen from the controller's node. */
const isOpen = (sandbox: Sandbox, ip: string, port: number) =>
  sandbox.beside('timeout', '1', 'bash', '-c', `</dev/tcp/${ip}/${port}`).then(
    () => true,
    () => false,
  );

const userData = (content: string) =>
  `#cloud-config\nwrite_files: [{path: /etc/from-user-data, content: ${content}}]\n`;

test.skipIf(whyNot !== null)(
  `a server is a booted Debian that obeys its user data, its keys, its firewall and the API${whyNot ?? ''}`,
  { timeout: limitMs },
  async () => {
    const interfaces = Object.keys(networkInterfaces());
    const installation = await install();
    const { machinesDir, publicKey } = installation;
    const sandbox = await installation.start();
    const { call, ssh } = sandbox;
    const { ssh_key: key } = await call('POST', '/ssh_keys', { name: 'mine', public_key: publicKey });
    const order = { name: 'first', ssh_keys: [key.id], user_data: userData('first') };
    const { id, ip } = await sandbox.order(order);

    await eventually(() => ssh(ip, 'systemctl is-system-running --wait'));
    expect(await ssh(ip, 'hostname; cat /etc/from-user-data')).toBe('first\nfirst');
    expect(await ssh(ip, 'ip -brief -4 address show dev eth0')).toContain(`${ip}/32`);
    expect(await ssh(ip, 'curl -s http://169.254.169.254/hetzner/v1/userdata')).toBe(order.user_data.trim());
    expect(await ssh(ip, 'curl -s -m 2 http://192.0.2.1/ || echo no way out')).toBe('no way out');
    expect(Object.keys(networkInterfaces())).toEqual(interfaces);

    const rule = { direction: 'in', protocol: 'udp', port: '41641', source_ips: ['0.0.0.0/0', '::/0'] };
    const { firewall } = await call('POST', '/firewalls', {
      name: 'wall',
      rules: [rule],
      apply_to: [{ type: 'server', server: { id } }],
    });
    await until(async () => ((await isOpen(sandbox, ip, 22)) ? undefined : true));
    const mine = { direction: 'in', protocol: 'tcp', port: '22', source_ips: ['198.18.0.2/32'] };
    await call('POST', `/firewalls/${firewall.id}/actions/set_rules`, { rules: [rule, mine] });
    // Cloud-init has finished. Later boots are faster without it.
    const touch = 'touch /root/kept /etc/cloud/cloud-init.disabled';
    const first = await eventually(() => ssh(ip, `${touch}; ${bootId}`));

    await call('POST', `/servers/${id}/actions/shutdown`);
    await status(sandbox, id, 'off');
    expect(leftovers(machinesDir).onDisks).toEqual([]);
    await call('POST', `/servers/${id}/actions/poweron`);
    const second = await otherBoot(sandbox, ip, first);
    expect(await ssh(ip, 'ls /root')).toBe('kept');
    await call('POST', `/servers/${id}/actions/reset`);
    const third = await otherBoot(sandbox, ip, second);
    await ssh(ip, 'systemctl --no-block reboot').catch(() => undefined);
    const fourth = await otherBoot(sandbox, ip, third);
    await call('POST', `/servers/${id}/actions/reboot`);
    await otherBoot(sandbox, ip, fourth);
    await ssh(ip, 'systemctl --no-block poweroff').catch(() => undefined);
    await status(sandbox, id, 'off');

    const image = { image: 'debian-12', user_data: userData('second') };
    await call('POST', `/servers/${id}/actions/rebuild`, image);
    expect(await eventually(() => ssh(ip, 'cat /etc/from-user-data; ls /root'))).toBe('second');

    await call('DELETE', `/servers/${id}`);
    const disks = () => readdirSync(machinesDir).filter((name) => name.startsWith(`${id}-`));
    await until(async () => (disks().length === 0 ? true : undefined));
    expect(leftovers(machinesDir).onDisks).toEqual([]);
    await sandbox.end('SIGTERM');
    expect(leftovers(machinesDir)).toEqual(nothing);
  },
);
