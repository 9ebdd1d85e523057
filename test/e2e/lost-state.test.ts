import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectNoChanges } from '../support/clean-stack.ts';
import { eventually } from '../support/eventually.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { dropDatabases, listHoldings, untilRecordsKept } from '../support/lost-databases.ts';
import { paidCheckout } from '../support/stripe-events.ts';

/** Both databases are lost; the passphrase, and everything at the clouds, is not. */
let site: Site;
let installation: Installation;
let before: Awaited<ReturnType<typeof listHoldings>>;
beforeAll(async () => {
  // One operation at a time: an engine process takes as long to start as several operations.
  site = await makeSite({ POOL: 'eu-west/starter=1', EXECUTOR: 'local', WORKER_CONCURRENCY: '1' });
  site.environment.BACKUP_TO = join(site.dataDir, 'kept');
  installation = await startInstallation(site);
}, 180_000);
afterAll(async () => {
  await installation?.stop();
  await site?.remove();
}, 90_000);

const agent = async (agentId: string) => (await installation.ask(`/api/agents/${agentId}`)).body;
const attention = async (): Promise<{ class: string; cause: string }[]> =>
  (await installation.ask('/api/attention')).body.items;
const untilStatus = (agentId: string, status: string) =>
  eventually(`${agentId} is ${status}`, async () => (await agent(agentId)).status === status, {
    withinSeconds: 90,
    describe: installation.terminal,
  });
/** Nothing of it was made again, changed or deleted: the pool adds to it. */
const atLeast = (holdings: typeof before) =>
  Object.fromEntries(Object.entries(holdings).map(([kind, rows]) => [kind, expect.arrayContaining(rows)]));
const cli = (...words: string[]) => installation.agents(...words);

/** Buys at the sandbox's checkout page, with a card that works. */
async function buy(order: Record<string, string>): Promise<void> {
  const submit = async (path: string, fields: Record<string, string>) => {
    const response = await fetch(`${installation.connection.stripeApiUrl}${path}`, {
      method: 'POST',
      headers: { accept: 'application/json' },
      body: new URLSearchParams(fields),
    });
    expect(response.ok, await response.clone().text()).toBe(true);
    return (await response.json()) as { id: string };
  };
  const { id } = await submit('/checkout', order);
  await submit(`/checkout/${id}`, { card: '4242424242424242' });
}

/** A server as a person orders it in Hetzner's console. */
async function orderByHand(name: string): Promise<void> {
  const { hcloudEndpoint, hcloudToken } = installation.connection;
  const response = await fetch(`${hcloudEndpoint}/servers`, {
    method: 'POST',
    headers: { authorization: `Bearer ${hcloudToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name,
      server_type: 'cx23',
      image: 'debian-12',
      location: 'nbg1',
      labels: { team: 'shop' },
    }),
  });
  expect(response.ok, await response.clone().text()).toBe(true);
}

it('adopts a server that was made by hand', async () => {
  await orderByHand('web1');
  const run = (...more: string[]) => cli('adopt', 'adopted', '--server', 'web1', '--user-id', 'eve', ...more);
  const json = { server: 'web1', userId: 'eve' };
  const refusals = async () => (await installation.ask('/api/agents/adopted/adopt', { json })).body.refusals;
  await eventually('it runs', async () => (await refusals()).length === 0, {
    withinSeconds: 60,
    describe: installation.terminal,
  });
  const planned = await run('--dry-run');
  expect(planned.stdout).toMatch(/Is imported:\n- server web1 \(\d+\), cx23, debian 12: as it is/);
  expect(planned.stdout).toMatch(/Never happens:\n- the server is not made again, deleted/);
  const hostKey = `ssh-ed25519 ${'A'.repeat(68)} root@web1`;
  const adopted = await run('--host-key', hostKey, '--yes', '--wait');
  expect(adopted.code, adopted.stdout + adopted.stderr).toBe(0);
  expect(adopted.stdout).toMatch(/^ssh root@[\d.]+ sh -s <<'END'\nOPS_KEY='ssh-ed25519 /m);
  expect(adopted.stdout).toMatch(/adopt-server succeeded/);
  const { status, health, serverName } = await agent('adopted');
  expect({ status, health }).toEqual({ status: 'running', health: 'healthy' });
  const { servers } = await listHoldings(installation.connection);
  expect(servers.map(({ name }) => name)).toContain(serverName);
  expect((await installation.ask('/api/agents/adopted/ledger')).body).toMatchObject({ way: 'adopted' });
  const again = await installation.ask('/api/agents/other/adopt', { json: { ...json, server: serverName } });
  expect(again.body.refusals).toContainEqual(expect.stringContaining('is that of agent adopted'));
}, 180_000);

it('begins with agents that run, are stopped and held, and a slot', async () => {
  await buy({ agentId: 'paid', userId: 'ada', region: 'eu-central' });
  for (const agentId of ['stopped', 'held'])
    await installation.ask('/api/agents', { json: { agentId, userId: 'bob', region: 'eu-central' } });
  for (const agentId of ['paid', 'stopped', 'held']) await installation.untilAgent(agentId, 'running', 120);
  expect(await cli('snapshots', 'make', 'stopped', '--wait')).toMatchObject({ code: 0 });
  await installation.ask('/api/agents/stopped/stop', { json: {} });
  // Nothing at Hetzner says that its disk was kept.
  expect(await cli('resize', 'held', '--plan', 'pro', '--wait')).toMatchObject({ code: 0 });
  await installation.ask('/api/agents/held/hold', { json: { reason: 'abuse', note: 'mines coins' } });
  await installation.ask('/api/agents/paid', { method: 'PATCH', ...patch({ protected: true }) });
  await untilStatus('stopped', 'stopped');
  await untilStatus('held', 'suspended');
  await eventually(
    'the slot is ready',
    async () => (await installation.query("select from slots where status = 'ready'")).length === 1,
    { withinSeconds: 90, describe: installation.terminal },
  );
  await untilRecordsKept(installation, 5);
  before = await listHoldings(installation.connection);
  expect(before.servers).toHaveLength(5);
}, 300_000);

const patch = (body: object) => ({
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
});

it('makes and removes nothing on an empty database, and accepts no order that may be known', async () => {
  await installation.stop();
  await dropDatabases(site.dataDir);
  // It looks like a first start, and is none.
  site.environment.SANDBOX_DEMO_ORDER = 'on';
  installation = await startInstallation(site);
  await eventually(
    'the loss is noticed',
    async () => (await attention()).some(({ cause }) => /an earlier one has made/.test(cause)),
    { withinSeconds: 30, describe: installation.terminal },
  );
  const order = paidCheckout({ agentId: 'paid', region: 'eu-central', plan: 'starter' });
  expect((await installation.deliver(order)).status).toBe(503);
  const created = await installation.ask('/api/agents', {
    json: { agentId: 'new', userId: 'u', region: 'eu-west' },
  });
  expect(created.status).toBe(503);
  expect(await listHoldings(installation.connection)).toEqual(before);
}, 180_000);

it('finds everything again, and imports it without touching a server', async () => {
  const proposed = await cli('rebuild-state', '--dry-run', '--json');
  expect(proposed.code, proposed.stderr).toBe(0);
  const leftSlot = [{ agentId: null, cause: expect.stringMatching(/made as slot-.* to wait for an order/) }];
  expect(JSON.parse(proposed.stdout)).toMatchObject({ applied: false, unclear: leftSlot });
  expect((await installation.ask('/api/agents')).body.items).toEqual([]);
  const rebuilt = await cli('rebuild-state', '--yes', '--json');
  expect(rebuilt.code, rebuilt.stderr).toBe(0);
  const { agents, slots, ...others } = JSON.parse(rebuilt.stdout);
  expect(agents.map((one: { action: string }) => one.action)).toEqual(Array(4).fill('rebuilt'));
  expect(slots).toEqual([{ slotId: expect.stringMatching(/^slot-/), action: 'unclear' }]);
  expect(others).toMatchObject({ snapshots: 1, orders: 1, unclear: leftSlot });
  await eventually(
    'every stack is imported',
    async () =>
      (await installation.query("select from operations where kind = 'import' and status = 'succeeded'"))
        .length === 4,
    { withinSeconds: 120, describe: installation.terminal },
  );
  expect(await listHoldings(installation.connection)).toEqual(atLeast(before));
}, 240_000);

it('knows of each agent what it knew', async () => {
  expect(await agent('paid')).toMatchObject({ userId: 'ada', protected: true, status: 'running' });
  expect(await agent('stopped')).toMatchObject({ userId: 'bob', status: 'stopped' });
  const held = { reason: 'abuse', by: 'operator', note: 'mines coins' };
  expect(await agent('held')).toMatchObject({ status: 'suspended', holds: [held] });
  await eventually('it is healthy', async () => (await agent('paid')).health === 'healthy', {
    withinSeconds: 60,
    describe: installation.terminal,
  });
}, 90_000);

it.each(['paid', 'stopped', 'held', 'adopted'])(
  'has a clean preview of the stack of %s',
  async (agentId) => {
    await expectNoChanges(installation, agentId);
  },
  90_000,
);

it('a second rebuild changes nothing', async () => {
  const again = JSON.parse((await cli('rebuild-state', '--yes', '--json')).stdout);
  expect(again.agents.map((one: { action: string }) => one.action)).toEqual(Array(4).fill('known'));
  expect(again.orders).toBe(0);
}, 60_000);

it('goes on: a new slot is handed over, an agent starts and is configured', async () => {
  await eventually(
    'the slot is ready',
    async () =>
      (await installation.query("select from slots where checked_at > now() - interval '20 seconds'"))
        .length === 1,
    { withinSeconds: 90, describe: installation.terminal },
  );
  await installation.deliver(paidCheckout({ agentId: 'next', region: 'eu-west', plan: 'starter' }));
  await installation.untilAgent('next', 'running', 30);
  const started = await cli('start', 'stopped', '--wait');
  expect(started.stdout + started.stderr).toMatch(/start succeeded/);
  const configured = await cli('reconfigure', 'stopped', '--wait');
  expect(configured.stdout + configured.stderr).toMatch(/reconfigure succeeded/);
  await cli('release', 'held', '--reason', 'abuse', '--wait');
  await untilStatus('held', 'running');
  await eventually(
    'the slot is adopted',
    async () => (await installation.query("select from slots where status = 'adopted'")).length === 1,
    { withinSeconds: 90, describe: installation.terminal },
  );
  await expectNoChanges(installation, 'next');
}, 240_000);

it('billing goes on: a cancelled subscription is followed to its end', async () => {
  const { billing } = await agent('paid');
  expect(billing).toMatchObject({ state: 'paid' });
  const { stripeApiUrl, stripeApiKey } = installation.connection;
  await fetch(`${stripeApiUrl}/v1/subscriptions/${billing.subscriptionId}`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${stripeApiKey}` },
  });
  await eventually('it is followed', async () => (await agent('paid')).billing?.state !== 'paid', {
    withinSeconds: 60,
    describe: installation.terminal,
  });
}, 90_000);

it('restores a backup, and finds what happened after it', async () => {
  let made = await cli('backup', '--json');
  // The schedule's first one of the new database may be under way.
  const isMade = async () => {
    if (/already/.test(made.stdout + made.stderr)) made = await cli('backup', '--json');
    return !/already/.test(made.stdout + made.stderr);
  };
  await eventually('no other backup is under way', isMade, {
    withinSeconds: 60,
    describe: installation.terminal,
  });
  expect(made.code, made.stdout + made.stderr).toBe(0);
  const { location, verifiedAt } = JSON.parse(made.stdout);
  expect(verifiedAt).toEqual(expect.any(String));
  await installation.ask('/api/agents', {
    json: { agentId: 'later', userId: 'eve', region: 'eu-central' },
  });
  await installation.untilAgent('later', 'running', 90);
  await untilRecordOf('later');
  const destroyed = await cli('destroy', 'stopped', '--yes', '--wait');
  expect(destroyed.stdout + destroyed.stderr).toMatch(/destroy succeeded/);
  const servers = (await listHoldings(installation.connection)).servers;
  await installation.stop();
  await dropDatabases(site.dataDir);
  const restored = await installation.run(['agents', '--', 'restore', location]);
  expect(restored.stdout + restored.stderr).toMatch(/Restored \d+ rows/);
  installation = await startInstallation(site);
  const rebuilt = JSON.parse((await cli('rebuild-state', '--yes', '--json')).stdout);
  const actions = Object.fromEntries(
    rebuilt.agents.map((one: { agentId: string; action: string }) => [one.agentId, one.action]),
  );
  const corrected = { paid: 'corrected', held: 'corrected', next: 'corrected', adopted: 'corrected' };
  expect(actions).toEqual({ ...corrected, later: 'rebuilt', stopped: 'destroyed' });
  await eventually(
    'every stack is imported',
    async () =>
      (
        await installation.query(
          "select from operations where kind = 'import' and status = 'succeeded' and created_at > now() - interval '5 minutes' and agent_id = any('{paid,held,next,later,adopted}')",
        )
      ).length >= 5,
    { withinSeconds: 120, describe: installation.terminal },
  );
  expect((await listHoldings(installation.connection)).servers).toEqual(expect.arrayContaining(servers));
  await untilStatus('stopped', 'destroyed');
  expect(await agent('later')).toMatchObject({ status: 'running', userId: 'eve' });
}, 300_000);

const untilRecordOf = (agentId: string) =>
  eventually(
    `the record of ${agentId} is kept`,
    async () =>
      (
        await installation.query(
          'select from cloud_records r join agents a on a.agent_id = r.owner_id where r.seen >= a.updated_at and a.agent_id = $1',
          [agentId],
        )
      ).length === 1,
    { withinSeconds: 60, describe: installation.terminal },
  );
