import { expect, it } from 'vitest';
import { expectNoChanges } from '../../support/clean-stack.ts';
import { eventually } from '../../support/eventually.ts';
import type { Fleet } from '../../support/fleet.ts';
import type { Installation } from '../../support/installation.ts';

interface Deps {
  installation: Installation;
  fleet: Fleet;
}

/** What the API of Hetzner says of a server that was made by hand. */
interface ByHand {
  id: number;
  name: string;
  status: string;
  labels: Record<string, string>;
  public_net: { ipv4: { ip: string }; firewalls: unknown[] };
}

/** Orders a server as a person does in Hetzner's console, waits for sshd, and puts a file on it. */
async function makeByHand({ fleet }: Deps, name: string) {
  const order = { name, server_type: 'cx23', image: 'debian-12', location: 'nbg1', labels: { team: 'shop' } };
  const { server } = await fleet.hetzner<{ server: ByHand }>('POST', '/servers', order);
  const screen = fleet.screen(String(server.id));
  const say = (command: string) => screen.say(command);
  await eventually(
    `${name} has booted`,
    async () => (await say('systemctl is-active ssh').catch(() => '')) === 'active',
    { withinSeconds: 90, describe: () => name },
  );
  await say('cloud-init status --wait >/dev/null; echo mine >/root/mine');
  const booted = await say(
    'cat /proc/sys/kernel/random/boot_id; systemctl show -P UserspaceTimestampMonotonic',
  );
  return { id: String(server.id), name, say, booted, run: screen.run };
}

/** Requests its adoption, and lets the service in as its owner does. */
async function adopt(
  { installation }: Deps,
  agentId: string,
  { name, say, run }: Awaited<ReturnType<typeof makeByHand>>,
) {
  const hostKey = await say('cat /etc/ssh/ssh_host_ed25519_key.pub');
  const json = { server: name, userId: 'user-1', hostKey, apply: true };
  const { status, body } = await installation.ask(`/api/agents/${agentId}/adopt`, { json });
  expect(status, JSON.stringify(body)).toBe(202);
  const script = Buffer.from(body.accessScript).toString('base64');
  const granted = await run(`echo ${script} | base64 -d | sh -s`);
  expect(granted.stdout + granted.stderr).toContain('can administer this server now');
  return hostKey;
}

/** Declares tests of servers that were made by hand. */
export function testAdopted(get: () => Deps): void {
  let other: Awaited<ReturnType<typeof makeByHand>>;
  it('a server that was made by hand becomes an agent’s, without a restart', async () => {
    const deps = get();
    const { installation, fleet } = deps;
    const [server, second] = await Promise.all([makeByHand(deps, 'web1'), makeByHand(deps, 'web2')]);
    other = second;
    await adopt(deps, 'by-hand', server);
    const ended = await fleet.finished('by-hand', 240);
    expect(ended, ended.error ?? '').toMatchObject({ kind: 'adopt-server', status: 'succeeded' });
    console.log(
      'adopted:',
      ended.timeline.map(({ step, seconds }) => `${step} ${seconds.toFixed(1)}`).join(', '),
    );
    const agent = await fleet.agent('by-hand');
    expect(agent).toMatchObject({ status: 'running', health: 'healthy', serverId: server.id });
    expect(await fleet.health(agent.tailnetIp)).toContain('"agentId": "by-hand"');
    expect(await server.say('cat /root/mine')).toBe('mine');
    expect(
      await server.say('cat /proc/sys/kernel/random/boot_id; systemctl show -P UserspaceTimestampMonotonic'),
    ).toBe(server.booted);
    const shell = await installation.run(['agents', '--', 'ssh', 'by-hand', 'sudo', 'cat', '/root/mine']);
    expect(shell.stdout + shell.stderr).toContain('mine');
    await expectNoChanges(installation, 'by-hand');
  }, 360_000);

  it('one whose configuration fails is given back as it was', async () => {
    const deps = get();
    const { installation, fleet } = deps;
    const server = other;
    // sshd takes the first value that it finds: the playbook cannot harden it, and says so.
    await server.say('echo "X11Forwarding yes" >/etc/ssh/sshd_config.d/0-own.conf');
    await server.run('echo 1 >/proc/sys/net/ipv4/ip_forward');
    const settings = 'sha256sum </etc/nftables.conf; cat /proc/sys/net/ipv4/ip_forward /etc/timezone';
    const own = await server.say(settings);
    const hostKey = await adopt(deps, 'given-back', server);
    await eventually(
      'its first try has failed',
      async () => (await fleet.operation('given-back')).failedStep === 'configuring',
      { withinSeconds: 120, describe: installation.terminal },
    );
    // Its owner gives up, rather than wait for the other tries.
    const { operationId } = await fleet.operation('given-back');
    expect((await installation.ask(`/api/operations/${operationId}/cancel`, { json: {} })).status).toBe(202);
    await eventually(
      'the rollback has ended',
      async () =>
        (
          await installation.query(
            "select from operations where agent_id = 'given-back' and kind = 'rollback' and status = 'succeeded'",
          )
        ).length === 1,
      { withinSeconds: 300, describe: installation.terminal },
    );
    const { server: now } = await fleet.hetzner<{ server: ByHand }>('GET', `/servers/${server.id}`);
    expect(now).toMatchObject({ name: 'web2', labels: { team: 'shop' }, status: 'running' });
    expect(now.public_net.firewalls).toEqual([]);
    expect(await fleet.devicesOf('given-back')).toEqual([]);
    const left =
      'id ops; id agent; ls -d /etc/agent; ls /etc/sysusers.d/agent.conf; test -e /var/lib/agent-adoption; test -e /etc/sudoers.d/90-agent-ops; nft list table inet agent';
    for (const check of left.split('; '))
      await eventually(`"${check}" fails`, async () => (await server.run(check)).code !== 0, {
        withinSeconds: 30,
        describe: () => check,
      });
    expect(await server.say(settings)).toBe(own);
    const shown = await server.say('ssh-keyscan -t ed25519 127.0.0.1 2>/dev/null | cut -d" " -f2,3');
    expect(hostKey).toContain(shown);
    expect(await server.say('sshd -T | grep -ix "permitrootlogin.*"')).not.toBe('permitrootlogin no');
    expect(await server.say('cat /root/mine')).toBe('mine');
  }, 420_000);
}
