import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectNoChanges } from '../support/clean-stack.ts';
import { getHoldings } from '../support/clouds.ts';
import { eventually } from '../support/eventually.ts';
import { type Agent, createFleet, describeWithMachines, type Fleet } from '../support/fleet.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { reachable, type Screen } from '../support/machine.ts';

const SIZE = 2;
const HOST_KEY = '/etc/ssh/agent_host_ed25519_key';

let site: Site;
let installation: Installation;
let fleet: Fleet;

interface Slot {
  slot_id: string;
  server_id: string;
  tailnet_ip: string;
  status: string;
  error: string | null;
}
/** What the slots were before they were anybody's, by server. */
const hostKeys = new Map<string, string>();
const sold: Agent[] = [];

const slots = (where: string): Promise<Slot[]> =>
  installation.query(`select * from slots where ${where} order by ready_at`);
const untilReady = (count = SIZE) =>
  eventually(`${count} slots are ready`, async () => (await slots("status = 'ready'")).length >= count, {
    withinSeconds: 240,
    describe: () => installation.terminal().slice(-3_000),
  });
const untilAdopted = (agentId: string) =>
  eventually(
    `${agentId} has adopted its slot`,
    async () => (await slots(`agent_id = '${agentId}' and status = 'adopted'`)).length === 1,
    { withinSeconds: 180, describe: () => installation.terminal().slice(-3_000) },
  );

/** Orders an agent, and waits until it runs. */
async function buy(agentId: string, withinSeconds = 120): Promise<Agent> {
  const posted = performance.now();
  await fleet.buy(agentId);
  const agent = await installation.untilAgent(agentId, 'running', withinSeconds);
  const seen = (performance.now() - posted) / 1000;
  const { body } = await installation.ask(`/api/agents/${agentId}/ledger`);
  console.log(`${agentId}, ${body.way}: ${body.seconds} s from the event, seen after ${seen.toFixed(2)} s`);
  console.log(JSON.stringify(body.steps));
  return agent;
}
const wayOf = async (agentId: string) => (await installation.ask(`/api/agents/${agentId}/ledger`)).body.way;

describeWithMachines('a pool of real machines', () => {
  beforeAll(async () => {
    site = await makeSite({ SANDBOX_MACHINES: 'real', POOL: `eu-west/starter=${SIZE}`, POOL_REFILLS: '3' });
    installation = await startInstallation(site);
    fleet = createFleet(installation);
    await untilReady();
  }, 420_000);

  afterAll(async () => {
    await installation?.stop();
    await site?.remove();
  }, 90_000);

  it('waits, configured and healthy, as slots whose stacks are named after them', async () => {
    for (const slot of await slots("status = 'ready'")) {
      expect(await fleet.health(slot.tailnet_ip)).toContain(`"agentId": "${slot.slot_id}"`);
      hostKeys.set(slot.server_id, await fleet.screen(slot.server_id).say(`cat ${HOST_KEY}.pub`));
    }
    expect(hostKeys.size).toBeGreaterThanOrEqual(SIZE);
    const { stdout } = await installation.run(['pulumi', '--', 'stack', 'ls']);
    expect(stdout.match(/^slot-[0-9a-f]{24}/gm)?.length).toBeGreaterThanOrEqual(SIZE);
  }, 60_000);

  it('has a path open to each of them: the program that hands it over waits already', async () => {
    for (const slot of await slots("status = 'ready'"))
      await eventually(
        `a program waits on ${slot.slot_id}`,
        async () =>
          (await fleet.screen(slot.server_id).run("pgrep -f '[a]gent-hand-over.py'")).stdout.trim() !== '',
        { withinSeconds: 20 },
      );
  }, 90_000);

  it('gives one to each of two orders; both answer with their own ids over the tailnet', async () => {
    for (const agentId of ['warm-a', 'warm-b']) {
      const agent = await buy(agentId, 20);
      sold.push(agent);
      expect(await wayOf(agentId)).toBe('warm');
      expect(hostKeys.has(agent.serverId)).toBe(true);
      expect(await fleet.health(agent.tailnetIp)).toContain(`"agentId": "${agentId}"`);
    }
  }, 60_000);

  it('their host keys are new, and the earlier ones are accepted no more', async () => {
    for (const agent of sold) {
      const screen = fleet.screen(agent.serverId);
      const [before, now] = [hostKeys.get(agent.serverId) as string, await screen.say(`cat ${HOST_KEY}.pub`)];
      expect(now).not.toBe(before);
      const file = join(site.dataDir, `known-${agent.agentId}`);
      const attempt = async (key: string) => {
        writeFileSync(file, `${agent.tailnetIp} ${key}\n`);
        const strict = [`-oUserKnownHostsFile=${file}`, '-oStrictHostKeyChecking=yes'];
        const { stderr } = await fleet.ssh(`ops@${agent.tailnetIp}`, strict, 'true');
        return stderr;
      };
      expect(await attempt(before)).toContain('Host key verification failed');
      expect(await attempt(now)).toContain('Permission denied (publickey)');
    }
  }, 60_000);

  it('A reaches nothing of B', async () => {
    const [a, b] = sold as [Agent, Agent];
    const ports = ['22', '80', '8080', '8088', '41641'];
    const all = [b.ipv4, b.tailnetIp].flatMap((place) => ports.map((port) => `${place} ${port}`));
    const screen = fleet.screen(a.serverId);
    expect(await reachable(screen, all)).toEqual([]);
    expect(await reachable(screen, all, 'agent')).toEqual([]);
  }, 60_000);

  it('the tailnet key with which the slot joined lets nobody in', async () => {
    const [a, b] = sold as [Agent, Agent];
    const [{ user_data: userData }] = await installation.query(
      'select user_data from hetzner_servers where id = $1',
      [a.serverId],
      'sandbox',
    );
    const key = /content: (\S+)/.exec(userData)?.[1] as string;
    const secondUse = await fleet
      .screen(b.serverId)
      .run(
        'tailscaled --tun=userspace-networking --socket=/run/second.sock --state=mem: --port=0 2>/dev/null & ' +
          'until test -S /run/second.sock; do sleep 0.05; done; ' +
          `tailscale --socket=/run/second.sock up --login-server=http://10.254.254.1:8080 --auth-key=${key} --timeout=10s; ` +
          'code=$?; kill $!; exit $code',
      );
    expect(secondUse.code).not.toBe(0);
    expect(secondUse.stderr).toMatch(/authkey|invalid|used/i);
  }, 60_000);

  it('adopts them: the playbook has nothing to change, the stack nothing to do', async () => {
    for (const agent of sold) {
      const screen = fleet.screen(agent.serverId);
      const since = () => screen.say('systemctl show -P ActiveEnterTimestampMonotonic agent.service');
      const before = await since();
      await untilAdopted(agent.agentId);
      const log = await fleet.configureLog(agent.agentId);
      expect(log).toMatch(/^agent-\S+ +: ok=\d+ +changed=0 +unreachable=0 +failed=0/m);
      expect(await since()).toBe(before);
      await expectNoChanges(installation, agent.agentId);
    }
    const { stdout } = await installation.run(['pulumi', '--', 'stack', 'ls']);
    expect(stdout.match(/^(agent|slot)-\S+/gm)).toEqual(
      expect.arrayContaining(['agent-warm-a', 'agent-warm-b', expect.stringMatching(/^slot-[0-9a-f]{24}/)]),
    );
  }, 420_000);

  it('a destroy of an agent that was a slot leaves nothing', async () => {
    for (const agent of sold) {
      await fleet.succeed(agent.agentId, 'destroy');
      expect(await getHoldings(installation.connection, agent.agentId)).toEqual({
        servers: [],
        sshKeys: [],
        tailnetKeys: [],
        devices: [],
      });
      const left = await installation.query(
        'select key from pulumi_state where key like $1',
        [`%${agent.agentId}%`],
        'pulumi',
      );
      expect(left).toEqual([]);
      await eventually('its disk is gone', async () => (await fleet.disks(agent.serverId)).length === 0, {
        withinSeconds: 30,
      });
    }
  }, 240_000);

  it('one that dies between its claim and its healthy answer, and one whose SSH hangs: the orders go cold, the slots go', async () => {
    await untilReady();
    const [dies, hangs] = (await slots("status = 'ready'")).map((slot) => fleet.screen(slot.server_id)) as [
      Screen,
      Screen,
    ];
    await dies.say('echo "raise SystemExit(1)" >/usr/local/lib/agent.py');
    // Its health still answers: otherwise it would only be a dead server.
    await hangs.say("pkill -STOP -x sshd; pkill -STOP -f '[a]gent-hand-over.py'");
    const orders = await Promise.all(['died', 'hung'].map((agentId) => buy(agentId, 180)));
    for (const { agentId, serverId } of orders) {
      expect(await wayOf(agentId)).toBe('cold');
      expect(await slots(`server_id = '${serverId}'`)).toEqual([]);
    }
    await expectTold();
  }, 480_000);
});

/** The operator sees that servers could not be handed over, and both are removed. */
async function expectTold(): Promise<void> {
  const { body } = await installation.ask('/api/attention');
  expect(body.items).toContainEqual(
    expect.objectContaining({
      class: 'configuration',
      cause: expect.stringMatching(/could not be handed over/),
    }),
  );
  await eventually(
    'they are removed',
    async () => (await slots("status = 'removed' and failure_code = 'not_handed_over'")).length === 2,
    { withinSeconds: 120 },
  );
}
