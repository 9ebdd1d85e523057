import { hostname } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Agent, createFleet, describeWithMachines, type Fleet } from '../support/fleet.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { findMachineProcesses, reachable, type Screen } from '../support/machine.ts';
import { type Collector, startCollector } from '../support/otlp-collector.ts';
import { sweepInstallation } from '../support/sweep-now.ts';
import { secondsInCopies } from './prepared-ansible.ts';
import { testAdopted } from './running/adopted.ts';
import { testOtherUsers } from './running/other-users.ts';
import { testTrace } from './running/trace.ts';

const BOUGHT = 2;
/** How long headscale keeps a silent ephemeral device. */
const EPHEMERAL_SECONDS = 75;

let collector: Collector;
let site: Site;
let installation: Installation;
let fleet: Fleet;
/** The demo's agent and those bought with it. */
let agents: Agent[] = [];
let screens: Screen[] = [];
let stopped = 0;

describeWithMachines('agents on real machines', () => {
  beforeAll(async () => {
    collector = await startCollector();
    site = await makeSite({
      SANDBOX_MACHINES: 'real',
      SANDBOX_DEMO_ORDER: 'on',
      WORKER_CONCURRENCY: String(BOUGHT + 1),
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      OTEL_METRIC_EXPORT_INTERVAL: '2000',
    });
    installation = await startInstallation(site);
    fleet = createFleet(installation);
  }, 180_000);

  afterAll(async () => {
    await installation?.stop();
    await site?.remove();
    await collector?.close();
  }, 90_000);

  it('three bought at the same moment all run', async () => {
    await Promise.all(Array.from({ length: BOUGHT }, () => fleet.buy()));
    await eventually(
      'all of them run',
      async () => {
        const { items } = (await installation.ask('/api/agents')).body as { items: Agent[] };
        agents = items.toSorted((a, b) => a.agentId.localeCompare(b.agentId));
        const failed = agents.find(({ status }) => status === 'failed');
        if (failed !== undefined) throw new Error(`${failed.agentId}: ${failed.error}`);
        return agents.length === BOUGHT + 1 && agents.every(({ status }) => status === 'running');
      },
      { withinSeconds: 240, describe: () => JSON.stringify(agents) },
    );
    screens = agents.map(({ serverId }) => fleet.screen(serverId));
    expect(secondsInCopies(site.dataDir)).toBeGreaterThan(0);
    for (const { agentId } of agents) {
      const { attempt, timeline } = await fleet.operation(agentId);
      console.log(
        `${agentId}, attempt ${attempt}:`,
        timeline.map(({ step, seconds }) => `${step} ${seconds.toFixed(1)}`).join(', '),
      );
    }
  }, 300_000);

  testTrace(() => ({
    collector,
    installation,
    fleet,
    agentId: agents.find(({ agentId }) => agentId.startsWith('real-'))!.agentId,
    running: BOUGHT + 1,
  }));

  testOtherUsers(() => installation);

  it('on a booted Debian, as an unprivileged user, at the address that the control server lists', async () => {
    const devices = await fleet.devices();
    for (const [index, agent] of agents.entries()) {
      const screen = screens[index] as Screen;
      // A unit that was just started may still be activating.
      expect(await screen.say('systemctl is-system-running --wait')).toBe('running');
      expect(await screen.say('systemctl is-active agent.service')).toBe('active');
      expect(await screen.say('ps -o user= -p $(systemctl show -P MainPID agent.service)')).toBe('agent');
      const device = devices.filter(({ name }) => name.split('.')[0] === `agent-${agent.agentId}`);
      expect(device).toMatchObject([{ name: agent.tailnetName, tags: ['tag:agent'] }]);
      expect(device[0]?.addresses).toContain(agent.tailnetIp);
    }
    const [{ agentId, tailnetIp, tailnetName }] = agents as [Agent];
    const outputs = await installation.run([
      'pulumi',
      '--',
      'stack',
      'output',
      '-s',
      `agent-${agentId}`,
      '--json',
    ]);
    expect(JSON.parse(outputs.stdout)).toMatchObject({ tailnetIp, tailnetName });
    expect(await fleet.health(tailnetIp)).toContain(`"agentId": "${agentId}"`);
  }, 60_000);

  it('one is stopped meanwhile, for longer than an ephemeral device would live', async () => {
    await fleet.succeed(agents[2]!.agentId, 'stop');
    stopped = Date.now();
  }, 60_000);

  it('the operation’s log says what each task did, and for how long', async () => {
    const { code, stdout } = await installation.run(['agents', '--', 'logs', agents[0]!.agentId]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /▸ configuring[\s\S]*base : Write the system's settings, and create the agent's account: changed \(\d+\.\d s\)/,
    );
    expect(stdout).toMatch(/agent : Wait until the agent is healthy: ok[\s\S]*▸ verifying/);
  }, 30_000);

  it('is hardened, according to sshd, nftables, systemd and the kernel', async () => {
    const [screen] = screens as [Screen];
    const sshd = (await screen.say('sshd -T')).split('\n');
    expect(sshd).toEqual(
      expect.arrayContaining([
        'permitrootlogin no',
        'passwordauthentication no',
        'kbdinteractiveauthentication no',
        'authenticationmethods publickey',
        'x11forwarding no',
        'maxauthtries 3',
        'allowusers ops',
        'hostkey /etc/ssh/agent_host_ed25519_key',
      ]),
    );
    const ruleset = await screen.say('nft list table inet agent');
    expect(ruleset.match(/policy \w+/g)).toEqual(['policy drop', 'policy drop', 'policy accept']);
    const input = await screen.say('nft list chain inet agent input');
    expect(input.match(/.* dport .*/g)?.map((line) => line.trim())).toEqual([
      'udp dport 41641 accept',
      'iifname "tailscale0" tcp dport { 22, 8088 } accept',
    ]);
    const security = await screen.say('systemd-analyze security agent.service --no-pager');
    expect(Number(/exposure level for agent\.service: ([\d.]+)/.exec(security)?.[1])).toBeLessThanOrEqual(3);
    expect(await screen.say('stat -c "%a %U" /etc/agent/environment')).toBe('600 root');
    expect(
      await screen.say('cat /proc/sys/net/ipv4/conf/all/accept_redirects /proc/sys/net/ipv4/ip_forward'),
    ).toBe('0\n0');
    expect(await screen.say('cat /etc/default/locale /etc/timezone')).toBe('LANG=C.UTF-8\nEtc/UTC');
    const settings = await screen.say(
      'apt-config dump | grep -E "^(APT::Periodic|Unattended-Upgrade::Origins)"',
    );
    expect(settings).toContain('APT::Periodic::Unattended-Upgrade "1"');
    expect(settings).toContain('site=pkgs.tailscale.com');
    expect(await screen.say('id -nG agent; sudo -l -U agent')).toMatch(
      /^agent\n[\s\S]*not allowed to run sudo/,
    );
  }, 60_000);

  it('nothing is open outside the tailnet, even without Hetzner’s firewall', async () => {
    const [seen, seer] = agents as [Agent, Agent];
    const [screen, other] = screens as [Screen, Screen];
    const { firewalls } = await fleet.hetzner<{ firewalls: { id: number }[] }>('GET', '/firewalls');
    const resource = [{ type: 'server', server: { id: Number(seen.serverId) } }];
    const listening = (await screen.say('ss -tlnH'))
      .split('\n')
      .map((line) => /:(\d+)$/.exec(line.trim().split(/\s+/)[3] ?? '')?.[1]);
    const ports = [...new Set([...listening, '22', '80', '8088'])];
    expect(ports.length).toBeGreaterThanOrEqual(4);
    const beside = ports.map((port) => `${seen.ipv4} ${port}`);
    await fleet.hetzner('POST', `/firewalls/${firewalls[0]!.id}/actions/remove_from_resources`, {
      remove_from: resource,
    });
    try {
      // A missing answer proves something only if packets can get there.
      await other.say(`ip route get ${seen.ipv4}`);
      expect(await reachable(other, beside)).toEqual([]);
      const udp = (await screen.say('ss -ulnH')).split('\n').map((line) => line.trim().split(/\s+/)[3]);
      expect(udp.filter((address) => !/^(127\.|\[::1\])/.test(address ?? '')).toSorted()).toEqual([
        '0.0.0.0:41641',
        '[::]:41641',
      ]);
    } finally {
      await fleet.hetzner('POST', `/firewalls/${firewalls[0]!.id}/actions/apply_to_resources`, {
        apply_to: resource,
      });
    }
    expect(seer.ipv4).not.toBe(seen.ipv4);
  }, 60_000);

  it('root and passwords are refused, over the tailnet too', async () => {
    const [{ tailnetIp }] = agents as [Agent];
    for (const user of ['root', 'ops', 'agent']) {
      const refused = await fleet.ssh(`${user}@${tailnetIp}`, ['-oPreferredAuthentications=none'], 'true');
      expect(refused.code).toBe(255);
      expect(refused.stderr).toContain('Permission denied (publickey)');
    }
  }, 60_000);

  it('one agent reaches nothing of another, nor of the controller', async () => {
    const [, other] = agents as [Agent, Agent];
    const [screen] = screens as [Screen];
    const devices = await fleet.devices();
    const controller = devices.find(({ tags }) => tags.includes('tag:controller'));
    const places = [other.ipv4, '198.18.0.2', other.tailnetIp, ...(controller?.addresses ?? [])];
    expect(controller?.addresses.length).toBeGreaterThan(0);
    const all = places.flatMap((place) =>
      ['22', '80', '8080', '8088', '41641'].map((port) => `${place} ${port}`),
    );
    expect(await reachable(screen, all)).toEqual([]);
    expect(await reachable(screen, all, 'agent')).toEqual([]);
  }, 60_000);

  it('with an empty policy, only SSH, which refuses it, and the health endpoint', async () => {
    const [, other] = agents as [Agent, Agent];
    const [screen, otherScreen] = screens as [Screen, Screen];
    const policy = await fleet.tailscale('GET', '/tailnet/-/acl');
    await fleet.tailscale('POST', '/tailnet/-/acl', '{}');
    try {
      const listening = (await otherScreen.say('ss -tlnH'))
        .split('\n')
        .map((line) => /:(\d+)$/.exec(line.trim().split(/\s+/)[3] ?? '')?.[1]);
      const all = [...new Set([...listening, '22', '80', '8088'])].map(
        (port) => `${other.tailnetIp} ${port}`,
      );
      await eventually(
        'the policy has arrived',
        async () => (await reachable(screen, [`${other.tailnetIp} 8088`])).length === 1,
        { withinSeconds: 20 },
      );
      expect((await reachable(screen, all, 'agent')).toSorted()).toEqual([
        `${other.tailnetIp} 22`,
        `${other.tailnetIp} 8088`,
      ]);
      const refused = await screen.run(
        `ssh -oBatchMode=yes -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null ops@${other.tailnetIp} true`,
      );
      expect(refused.stderr).toContain('Permission denied (publickey)');
    } finally {
      await fleet.tailscale('POST', '/tailnet/-/acl', policy);
    }
  }, 60_000);

  it('the user data holds nothing of value any more', async () => {
    const [{ agentId, serverId, tailnetIp }] = agents as [Agent];
    const [screen, other] = screens as [Screen, Screen];
    const [{ user_data: userData }] = await installation.query(
      'select user_data from hetzner_servers where id = $1',
      [serverId],
      'sandbox',
    );
    const key = /content: (\S+)/.exec(userData)?.[1] as string;
    const hostKey = /ed25519_public: \S+ (\S+)/.exec(userData)?.[1] as string;
    const secondUse = await other.run(
      'tailscaled --tun=userspace-networking --socket=/run/second.sock --state=mem: --port=0 2>/dev/null & ' +
        'until test -S /run/second.sock; do sleep 0.05; done; ' +
        `tailscale --socket=/run/second.sock up --login-server=http://10.254.254.1:8080 --auth-key=${key} --timeout=10s; ` +
        'code=$?; kill $!; exit $code',
    );
    expect(secondUse.code).not.toBe(0);
    expect(secondUse.stderr).toMatch(/authkey|invalid|used/i);
    expect(await fleet.devicesOf(agentId)).toHaveLength(1);
    const shown = await fleet.ssh(`ops@${tailnetIp}`, ['-v', '-oPreferredAuthentications=none'], 'true');
    const [recorded] = await installation.query(
      `select inputs ->> 'hostPublicKey' as first from agents where agent_id = $1`,
      [agentId],
    );
    expect(recorded.first).toContain(hostKey);
    const served = await screen.say('cat /etc/ssh/agent_host_ed25519_key.pub');
    expect(served).not.toContain(hostKey);
    expect(shown.stderr).toContain(
      `Server host key: ssh-ed25519 ${(await screen.say('ssh-keygen -lf /etc/ssh/agent_host_ed25519_key.pub')).split(' ')[1]}`,
    );
    const metadata = 'curl -s -m 5 http://169.254.169.254/hetzner/v1/userdata';
    expect((await screen.run(metadata)).stdout).toContain('#cloud-config');
    expect(await screen.run(`runuser -u agent -- ${metadata}`)).toMatchObject({ code: 7, stdout: '' });
    await expectSecretNowhere(agentId, [
      key,
      /BEGIN OPENSSH[^\n]*\n(?:.*\n){3} *(\S+)/.exec(userData)?.[1] as string,
    ]);
  }, 60_000);

  it('npm run agents -- ssh: a command on its server, by the key from the vault and the pinned host key', async () => {
    const { agentId, serverName } = agents[0]!;
    const ssh = (...words: string[]) => installation.run(['agents', '--', 'ssh', ...words]);
    const asked = await ssh(agentId, 'hostname; id -un; exit 7');
    expect(asked).toMatchObject({ code: 7, stdout: `${serverName}\nops\n` });
    expect(await ssh('nobody', 'true')).toMatchObject({ code: 1, stderr: 'There is no agent nobody\n' });
    const [entry] = await installation.query(`select * from audit_log where action = 'agent.ssh'`);
    const details = { login: expect.any(String), host: hostname() };
    expect(entry).toMatchObject({ agent_id: agentId, actor: 'operator', details });
  }, 60_000);

  it('its row shows since when it is silent, until it answers again', async () => {
    const { agentId } = agents[0]!;
    const begin = Date.now();
    await screens[0]!.say('systemctl stop agent');
    await eventually('it is unhealthy', async () => (await fleet.agent(agentId)).health === 'unhealthy', {
      withinSeconds: 90,
    });
    const { unhealthySince, status } = await fleet.agent(agentId);
    expect(status).toBe('running');
    expect(Date.parse(unhealthySince!)).toBeGreaterThan(begin - 1000);
    await screens[0]!.say('systemctl start agent');
    await eventually('it is healthy', async () => (await fleet.agent(agentId)).health === 'healthy', {
      withinSeconds: 60,
    });
    expect((await fleet.agent(agentId)).unhealthySince).toBeNull();
  }, 180_000);

  it('a second run of the playbook changes nothing', async () => {
    const [before] = agents as [Agent];
    await fleet.succeed(before.agentId, 'reconfigure');
    const log = await fleet.configureLog(before.agentId);
    expect(log).toMatch(/^agent-\S+ +: ok=\d+ +changed=0 +unreachable=0 +failed=0/m);
    expect(await fleet.agent(before.agentId)).toMatchObject({
      serverId: before.serverId,
      tailnetIp: before.tailnetIp,
      status: 'running',
    });
  }, 120_000);

  it('another host key than the pinned ones: nothing is sent, and the operation says why', async () => {
    const { agentId } = agents[1]!;
    const screen = screens[1]!;
    const [path, backup] = ['/etc/ssh/agent_host_ed25519_key', '/root/kept'];
    await screen.say(
      `cp -p ${path} ${backup} && rm ${path} && ssh-keygen -q -t ed25519 -N "" -f ${path} && systemctl reload ssh`,
    );
    await screen.say('journalctl --rotate -q');
    const since = await screen.say('date +%s');
    const id = await fleet.request(agentId, 'reconfigure');
    await eventually('a try has failed', async () => (await fleet.operation(agentId)).retryCount > 0, {
      withinSeconds: 90,
    });
    const failed = await fleet.operation(agentId);
    expect(failed).toMatchObject({ operationId: id, failedStep: 'configuring' });
    expect(failed.error).toContain(
      "the server's host key is not one of the pinned keys; nothing was sent to it",
    );
    const heard = await screen.say(`journalctl -u ssh -o cat --since=@${since}`);
    expect(heard).toContain('[preauth]');
    expect(heard).not.toMatch(/Accepted|Failed|user ops/);
    await screen.say(`mv ${backup} ${path} && systemctl reload ssh`);
    const ended = await fleet.finished(agentId);
    expect(ended, ended.error ?? '').toMatchObject({ operationId: id, status: 'succeeded' });
  }, 240_000);

  it('a reboot through Hetzner’s API: it comes back by itself, healthy, at its address', async () => {
    const { agentId, serverId, tailnetIp } = agents[1]!;
    const boot = await screens[1]!.say('cat /proc/1/stat | cut -d" " -f22');
    await fleet.hetzner('POST', `/servers/${serverId}/actions/reboot`);
    await eventually(
      'another boot',
      () =>
        screens[1]!.say('cat /proc/1/stat | cut -d" " -f22').then(
          (now) => now !== boot,
          () => false,
        ),
      { withinSeconds: 60 },
    );
    await eventually('it answers', async () => (await fleet.health(tailnetIp)).includes(agentId), {
      withinSeconds: 60,
    });
    expect(await screens[1]!.say('systemctl is-system-running --wait')).toBe('running');
    expect(await screens[1]!.say('nft list table inet agent')).toContain('policy drop');
  }, 180_000);

  it('after its stop it is back under the same name and address', async () => {
    const before = agents[2]!;
    await eventually(
      'an ephemeral device would be gone',
      () => Date.now() - stopped > EPHEMERAL_SECONDS * 1000,
      {
        withinSeconds: EPHEMERAL_SECONDS,
      },
    );
    await fleet.succeed(before.agentId, 'start');
    const { tailnetIp, tailnetName } = before;
    expect(await fleet.agent(before.agentId)).toMatchObject({ status: 'running', tailnetIp, tailnetName });
    expect(await fleet.health(tailnetIp)).toContain(before.agentId);
  }, 240_000);

  it('one whose root gives it another agent’s name does not affect that agent, and is reported', async () => {
    const [, other, thief] = agents as [Agent, Agent, Agent];
    await screens[2]!.say(`tailscale set --hostname=agent-${other.agentId}`);
    const ownHostname = async () =>
      (await fleet.devices()).find(({ addresses }) => addresses.includes(thief.tailnetIp))?.hostname;
    await eventually(
      'the control server knows',
      async () => (await ownHostname()) === `agent-${other.agentId}`,
      {
        withinSeconds: 20,
      },
    );
    await fleet.succeed(other.agentId, 'refresh');
    const { tailnetIp, tailnetName } = other;
    expect(await fleet.agent(other.agentId)).toMatchObject({ health: 'healthy', tailnetIp, tailnetName });
    const { findings, removed } = await sweepInstallation(installation.connection);
    expect(removed).toBe(0);
    expect(findings).toContainEqual(
      expect.stringMatching(
        new RegExp(
          `of agent ${thief.agentId} calls itself "agent-${other.agentId}": its hostname was changed`,
        ),
      ),
    );
    expect(await fleet.devicesOf(other.agentId)).toHaveLength(1);
    expect(await fleet.health(tailnetIp)).toContain(`"agentId": "${other.agentId}"`);
    await fleet.succeed(thief.agentId, 'refresh');
    expect(await fleet.agent(thief.agentId)).toMatchObject({
      health: 'healthy',
      tailnetIp: thief.tailnetIp,
      tailnetName: `agent-${thief.agentId}.tail5a4db0.ts.net`,
    });
  }, 120_000);

  it('once destroyed it leaves nothing: no device, no machine, no disk, whatever its name was', async () => {
    const { agentId, serverId } = agents[2]!;
    await fleet.succeed(agentId, 'destroy');
    expect(await fleet.devicesOf(agentId)).toEqual([]);
    await eventually(
      'no process is left of the machine',
      () => findMachineProcesses(site.dataDir, serverId).length === 0,
      {
        withinSeconds: 10,
      },
    );
    await eventually('no disk is left', async () => (await fleet.disks(serverId)).length === 0, {
      withinSeconds: 10,
    });
  }, 90_000);

  testAdopted(() => ({ installation, fleet }));
});

/** Neither in a log of ours nor in an argument list. */
async function expectSecretNowhere(agentId: string, secrets: string[]): Promise<void> {
  const found = await fleet.whereIs(secrets);
  expect(found, agentId).toEqual([]);
  for (const secret of secrets) expect(secret.length).toBeGreaterThan(20);
}
