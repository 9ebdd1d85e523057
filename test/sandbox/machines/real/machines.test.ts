import { existsSync, readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { eventually, install, output, type Sandbox, until, whyNot } from './setup.ts';

const onMachines = test.skipIf(whyNot !== null);
const limitMs = 120_000;

const bootId = 'cat /proc/sys/kernel/random/boot_id';

/** Waits for a start that is another one than before. */
const otherBoot = (sandbox: Sandbox, ip: string, before: string) =>
  until(async () => {
    const now = await sandbox.ssh(ip, bootId).catch(() => before);
    return now === before ? undefined : now;
  });

/** Waits until the API gives a server this status. */
const status = (sandbox: Sandbox, id: number, wanted: string) =>
  until(async () => ((await sandbox.statusOf(id)) === wanted ? true : undefined));

/** Processes of an installation's network and machines, by the folder that they live in. */
async function leftovers(dir: string) {
  const mark = (await output(['sh', '-c', `printf %s "$(realpath ${dir})" | sha256sum | cut -c1-12`])).trim();
  const own = (file: string, pattern: string) =>
    output(['sh', '-c', `grep -lsE '${pattern}' /proc/[0-9]*/${file} || true`]);
  return {
    marked: await own('environ', `AGENT_STACKS_MACHINES=${mark}`),
    onDisks: await own('mountinfo', `agent-stacks-${mark}-`),
    cgroups: ['/sys/fs/cgroup', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified']
      .filter(existsSync)
      .flatMap((tree) => readdirSync(tree).filter((name) => name.includes(mark))),
  };
}

const nothing = { marked: '', onDisks: '', cgroups: [] };

onMachines(
  'a server is a booted Debian that obeys its user data, its keys and the API',
  { timeout: limitMs },
  async () => {
    const interfaces = Object.keys(networkInterfaces());
    const installation = await install();
    const sandbox = await installation.start();
    const { call, ssh } = sandbox;
    const { ssh_key: key } = await call('POST', '/ssh_keys', {
      name: 'mine',
      public_key: installation.publicKey,
    });
    const user_data = '#cloud-config\nwrite_files: [{path: /etc/from-user-data, content: first}]\n';
    const { id, ip } = await sandbox.order({ name: 'first', ssh_keys: [key.id], user_data });

    await eventually(() => ssh(ip, 'systemctl is-system-running --wait'));
    expect(await ssh(ip, 'hostname; cat /etc/from-user-data; systemctl is-system-running')).toBe(
      'first\nfirstrunning',
    );
    expect(await ssh(ip, 'ip -brief -4 address show dev eth0')).toContain(`${ip}/32`);
    expect(await ssh(ip, 'curl -s http://169.254.169.254/hetzner/v1/userdata')).toBe(user_data.trim());
    expect(await ssh(ip, 'curl -s -m 2 http://192.0.2.1/ || echo no way out')).toBe('no way out');
    expect(Object.keys(networkInterfaces())).toEqual(interfaces);

    const first = await ssh(ip, `touch /root/kept; ${bootId}`);
    await call('POST', `/servers/${id}/actions/shutdown`);
    await status(sandbox, id, 'off');
    expect((await leftovers(installation.machinesDir)).onDisks).toBe('');
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

    await call('POST', `/servers/${id}/actions/rebuild`, {
      image: 'debian-12',
      user_data: '#cloud-config\nwrite_files: [{path: /etc/from-user-data, content: second}]\n',
    });
    expect(await eventually(() => ssh(ip, 'cat /etc/from-user-data; ls /root'))).toBe('second');

    await call('DELETE', `/servers/${id}`);
    await until(async () =>
      readdirSync(installation.machinesDir).some((name) => name.startsWith(`${id}-`)) ? undefined : true,
    );
    expect((await leftovers(installation.machinesDir)).onDisks).toBe('');
    await sandbox.end('SIGTERM');
    expect(await leftovers(installation.machinesDir)).toEqual(nothing);
  },
);
