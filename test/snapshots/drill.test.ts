import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { endDrill } from '../../src/agents/drills.ts';
import { createVault, generateAgentKeys } from '../../src/agents/secrets.ts';
import { jsonText } from '../../src/database/storable.ts';
import { createDrillCalls } from '../../src/hetzner/drill-calls.ts';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { snapshotFamilies } from '../../src/http/metrics/snapshot-metrics.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import { Secret } from '../../src/secret.ts';
import { advanceDrill, type DrillDeps } from '../../src/snapshots/drill.ts';
import { listDrills, startDrill, startDueDrill } from '../../src/snapshots/drills.ts';
import { renderDrillUserData } from '../../stacks/drill-user-data.ts';
import { agentInputs } from '../support/inputs.ts';
import { openSweepFixture, type SweepFixture } from '../support/sweep-fixture.ts';

let fixture: SweepFixture;
let deps: DrillDeps;
const vault = createVault(new Secret('passphrase'));
beforeAll(async () => {
  fixture = await openSweepFixture();
  const account = { token: fixture.hcloudToken, endpoint: `${fixture.sandbox.url}/hetzner/v1` };
  const hetzner = { ...createHetznerClient(account), ...createDrillCalls(account) };
  deps = { database: fixture.database, openProject: () => hetzner, vault, switchesItselfOff: true };
});
afterAll(() => fixture.close());
beforeEach(async () => {
  await fixture.empty();
  await fixture.cloud.query('truncate hetzner_images, hetzner_firewalls cascade');
  await drilled();
});

const ID = '11111111-1111-4111-8111-111111111111';
const keys = generateAgentKeys('a1');
let ofAgent: number;

/** A running agent with a complete snapshot. */
async function drilled(): Promise<void> {
  ofAgent = await fixture.server('a1');
  await fixture.agent('a1', { status: 'running', serverId: ofAgent, tailnetIp: await fixture.device('a1') });
  await sql`update agents set inputs = ${jsonText(agentInputs('a1'))}`.execute(fixture.database);
  const labels = { 'agent-id': 'a1', 'managed-by': 'agents', 'agent-snapshot': ID };
  const begun = await fixture.hcloud('POST', `/servers/${ofAgent}/actions/create_image`, {
    ...{ description: 'agent-a1 snapshot', labels },
  });
  await until(
    async () => (await fixture.hcloud('GET', `/actions/${begun.action.id}`)).action.status === 'success',
  );
  await fixture.database
    .insertInto('agent_snapshots')
    .values({
      ...{ snapshot_id: ID, agent_id: 'a1', why: 'scheduled', status: 'available' },
      ...{ hetzner_id: String(begun.image.id), size_gb: 1, server_id: String(ofAgent) },
      secrets: vault.seal('a1', keys),
    })
    .execute();
}

const until = (isSo: () => Promise<boolean>) =>
  expect.poll(isSo, { timeout: 15_000, interval: 40 }).toBe(true);
const start = () => startDrill(fixture.database, { agentId: 'a1', cause: 'person' });
const newest = async () => (await listDrills(fixture.database, 1))[0]!;
const servers = async () => (await fixture.hcloud('GET', '/servers')).servers;
const copy = async () => (await servers()).find(({ name }: { name: string }) => name.startsWith('drill-'));
const age = () =>
  sql`update snapshot_drills set started_at = now() - interval '21 minutes'`.execute(fixture.database);

/** Takes the drill on until this is so. */
const advanceUntil = (isSo: () => Promise<boolean>) =>
  until(async () => {
    await advanceDrill(deps);
    return isSo();
  });
const ended = () => advanceUntil(async () => (await newest()).status !== 'running');

test('a server is made behind a closed firewall, switches itself off, and is gone', async () => {
  const { drill_id: name } = await start();
  await advanceUntil(async () => (await newest()).ran_at !== null);
  const made = await copy();
  expect(made).toMatchObject({ name, labels: { 'agent-id': name, 'managed-by': 'agents' } });
  const { firewalls } = await fixture.hcloud('GET', '/firewalls');
  expect(firewalls).toMatchObject([
    { name: 'agents-drill', rules: [{ direction: 'out', destination_ips: ['192.0.2.1/32'] }] },
  ]);
  expect(made.public_net.firewalls.map(({ id }: { id: number }) => id)).toEqual([firewalls[0].id]);
  const { findings, removed } = await fixture.sweep();
  expect({ drill: findings.filter((text) => text.includes('drill')), removed }).toEqual({
    drill: [],
    removed: 0,
  });
  expect((await newest()).passed).toBeNull();
  await fixture.hcloud('POST', `/servers/${made.id}/actions/poweroff`);
  await ended();
  expect(await newest()).toMatchObject({ status: 'succeeded', passed: true, error: null });
  expect((await servers()).map(({ id }: { id: number }) => id)).toEqual([ofAgent]);
  const told = Object.fromEntries(
    (await snapshotFamilies(fixture.database)).map((family) => [family.name, family.samples[0]?.value]),
  );
  expect(told).toMatchObject({ agent_stacks_snapshot_drill_succeeded: 1, agent_stacks_agent_snapshots: 1 });
});

test('one that was on and off between two looks has run too', async () => {
  await start();
  await advanceDrill(deps);
  await until(async () => (await copy()).status === 'running');
  await fixture.hcloud('POST', `/servers/${(await copy()).id}/actions/poweroff`);
  await until(async () => (await copy()).status === 'off');
  await advanceUntil(async () => (await newest()).passed === true);
});

test('one that stays on has not booted, or is not the agent’s: it fails, a person is told, it is gone', async () => {
  await start();
  await advanceUntil(async () => (await newest()).ran_at !== null);
  await age();
  await ended();
  const error = expect.stringContaining('switch itself off');
  expect(await newest()).toMatchObject({ status: 'failed', error });
  expect(await copy()).toBeUndefined();
  expect(await listAttention(fixture.database, { limit: 9 })).toContainEqual(
    expect.objectContaining({ agentId: 'a1', cause: expect.stringContaining('The last restore drill') }),
  );
});

test('a firewall that somebody has opened is not used: no server is made', async () => {
  const rules = [{ direction: 'in', protocol: 'icmp', source_ips: ['0.0.0.0/0'] }];
  await fixture.hcloud('POST', '/firewalls', { name: 'agents-drill', rules });
  await start();
  await ended();
  expect(await newest()).toMatchObject({
    status: 'failed',
    error: expect.stringContaining('is open at Hetzner'),
  });
  expect(await servers()).toHaveLength(1);
});

/** A drill whose server runs behind its firewall. */
async function running(): Promise<{ server: number; firewall: number }> {
  await start();
  await advanceUntil(async () => (await newest()).ran_at !== null);
  const { id, public_net } = await copy();
  return { server: id, firewall: public_net.firewalls[0].id };
}
const OPEN = [{ direction: 'in', protocol: 'icmp', source_ips: ['0.0.0.0/0'] }];
const done = (action: { id: number }) =>
  until(async () => (await fixture.hcloud('GET', `/actions/${action.id}`)).action.status === 'success');

test.each([
  [
    'is opened',
    async ({ firewall }: Awaited<ReturnType<typeof running>>) =>
      fixture.hcloud('POST', `/firewalls/${firewall}/actions/set_rules`, { rules: OPEN }),
    /was opened, or replaced/,
  ],
  [
    'gets another one beside it',
    async ({ server }: Awaited<ReturnType<typeof running>>) => {
      const { firewall } = await fixture.hcloud('POST', '/firewalls', { name: 'open', rules: OPEN });
      const apply_to = [{ type: 'server', server: { id: server } }];
      return fixture.hcloud('POST', `/firewalls/${firewall.id}/actions/apply_to_resources`, { apply_to });
    },
    /not behind that one alone/,
  ],
  [
    'is taken off the server',
    async ({ server, firewall }: Awaited<ReturnType<typeof running>>) => {
      const remove_from = [{ type: 'server', server: { id: server } }];
      const path = `/firewalls/${firewall}/actions/remove_from_resources`;
      return fixture.hcloud('POST', path, { remove_from });
    },
    /not behind the firewall that closes it/,
  ],
] as const)(
  'a firewall that %s while the agent runs on the copy fails the drill, whose server goes at once',
  async (_what, open, error) => {
    const { actions } = await open(await running());
    for (const action of actions) await done(action);
    await advanceDrill(deps);
    expect(await newest()).toMatchObject({ passed: false, error: expect.stringMatching(error) });
    expect((await copy())?.status ?? 'deleting').toBe('deleting');
    await ended();
    expect(await newest()).toMatchObject({ status: 'failed' });
  },
);

test('while Hetzner does not answer for the firewall, the drill waits', async () => {
  await running();
  const hetzner = deps.openProject('default');
  const findClosedFirewall = () => Promise.reject(new Error('no answer'));
  const silent = { ...deps, openProject: () => ({ ...hetzner, findClosedFirewall }) };
  await expect(advanceDrill(silent)).rejects.toThrow('no answer');
  expect(await newest()).toMatchObject({ passed: null, status: 'running' });
  await age();
  await ended();
});

test('of a snapshot that was made from another server than its row says, none is made', async () => {
  await sql`update agent_snapshots set server_id = '77'`.execute(fixture.database);
  await start();
  await ended();
  expect(await newest()).toMatchObject({
    status: 'failed',
    error: expect.stringMatching(/was recorded as one of 77/),
  });
  expect(await servers()).toHaveLength(1);
});

test('a server whose order was answered to a killed worker is found by its name', async () => {
  const { drill_id: name } = await start();
  const hetzner = deps.openProject('default');
  const { createServer } = hetzner;
  const dying = async (wanted: Parameters<typeof createServer>[0]) => {
    await createServer(wanted);
    throw new Error('killed');
  };
  await advanceDrill({ ...deps, openProject: () => ({ ...hetzner, createServer: dying }) });
  expect(await newest()).toMatchObject({ server_id: null });
  await advanceDrill(deps);
  const made = await copy();
  expect(made.name).toBe(name);
  expect(await newest()).toMatchObject({ server_id: String(made.id), error: null });
  await age();
  await ended();
  expect(await servers()).toHaveLength(1);
});

test('one whose agent is destroyed is ended, and its server deleted', async () => {
  const { drill_id: drillId } = await start();
  await advanceUntil(async () => (await newest()).ran_at !== null);
  const end = () => endDrill(fixture.database, 'a1');
  expect(await end()).toBe(drillId);
  await ended();
  expect(await newest()).toMatchObject({ status: 'cancelled', passed: false });
  expect(await copy()).toBeUndefined();
  expect(await end()).toBeUndefined();
});

test('one runs at a time, none without a snapshot, and the schedule takes the agent that waited longest', async () => {
  await start();
  await expect(start()).rejects.toThrow('Another drill is under way');
  await age();
  await ended();
  await startDueDrill(fixture.database, 86_400_000);
  expect(await listDrills(fixture.database, 9)).toHaveLength(1);
  await startDueDrill(fixture.database, 60_000);
  expect(await newest()).toMatchObject({ cause: 'schedule', status: 'running' });
  await age();
  await ended();
  await sql`update agent_snapshots set status = 'removing'`.execute(fixture.database);
  await expect(start()).rejects.toThrow('has no complete snapshot');
});

test('the copy loses the tailnet’s identity, checks for the agent’s host key, and asks the agent for its health', () => {
  const text = renderDrillUserData({
    hostname: 'drill-1',
    hostPublicKeys: [keys.nextHostPublicKey, 'x $(evil)'],
  });
  expect(text).toContain('mv /var/lib/tailscale/tailscaled.state');
  expect(text).toContain(`grep -qF -e ${keys.nextHostPublicKey.split(' ')[1]} /etc/ssh/`);
  expect(text).not.toContain('evil');
  expect(text).toMatch(/systemctl start agent[\s\S]*"http:\/\/\$host:\$port\/health"[\s\S]*\n {4}poweroff\n/);
});
