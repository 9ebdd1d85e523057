import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { Installation } from '../support/installation.ts';
import { control, advance as move } from '../support/sandbox-clock.ts';
import { useInstallation } from '../support/use-installation.ts';

/** A card with which the first payment succeeds and every renewal fails. */
const FAILS_LATER = '4000000000000341';
const DAY = 24 * 3600;
const AGENT = 'unpaid';

let installation: Installation;
let sandbox: { url: string };
let subscriptionId: string;

useInstallation((started) => {
  installation = started;
  sandbox = { url: started.connection.stripeApiUrl };
});

const advance = (days: number) => move(sandbox, days * DAY);
const agent = async () => (await installation.ask(`/api/agents/${AGENT}`)).body;
const notices = async (): Promise<string[]> =>
  (await installation.ask(`/api/notices?agentId=${AGENT}`)).body.items
    .map(({ type }: { type: string }) => type)
    .reverse();

function untilStatus(status: string): Promise<unknown> {
  return eventually(`it is ${status}`, async () => (await agent()).status === status, {
    withinSeconds: 120,
    describe: installation.terminal,
  });
}

/** What is billed for the agent at Hetzner. */
async function billed(): Promise<{ servers: string[]; snapshots: number }> {
  const { hcloudEndpoint, hcloudToken } = installation.connection;
  const list = async (path: string) =>
    (
      await fetch(`${hcloudEndpoint}${path}`, { headers: { authorization: `Bearer ${hcloudToken}` } })
    ).json() as Promise<{ servers: { name: string; status: string }[]; images: unknown[] }>;
  const labels = `label_selector=${encodeURIComponent(`agent-id=${AGENT}`)}`;
  const { servers } = await list(`/servers?${labels}`);
  const { images } = await list(`/images?type=snapshot&${labels}`);
  return { servers: servers.map(({ status }) => status), snapshots: images.length };
}

async function checkout(
  path: string,
  fields: Record<string, string>,
): Promise<{ id: string; subscription: string }> {
  const response = await fetch(`${sandbox.url}${path}`, {
    method: 'POST',
    headers: { accept: 'application/json' },
    body: new URLSearchParams(fields),
  });
  expect(response.ok, await response.clone().text()).toBe(true);
  return (await response.json()) as { id: string; subscription: string };
}

it('a paid order becomes an agent that shows its subscription', async () => {
  // Stripe gives up after two weeks, and leaves what follows to the service.
  const dunning = await control(sandbox, 'PUT', 'stripe/dunning', { subscription: 'leave_past_due' });
  expect(dunning.status).toBe(200);
  const { id } = await checkout('/checkout', { region: 'eu-central', agentId: AGENT });
  ({ subscription: subscriptionId } = await checkout(`/checkout/${id}`, { card: FAILS_LATER }));
  await installation.untilAgent(AGENT, 'running', 90);
  await eventually('its billing is known', async () => (await agent()).billing?.state === 'paid', {
    withinSeconds: 60,
  });
  expect(await agent()).toMatchObject({ billing: { subscriptionId, unpaidSince: null }, holds: [] });
}, 150_000);

it('a renewal that fails is announced to the buyer, and the agent keeps running', async () => {
  await advance(32);
  await eventually('the failure is known', async () => (await agent()).billing?.state === 'past_due', {
    withinSeconds: 60,
    describe: installation.terminal,
  });
  expect(await agent()).toMatchObject({ status: 'running', holds: [] });
  expect(await notices()).toContain('agent.payment_failed');
}, 90_000);

it('it is warned and then switched off, with its data', async () => {
  await advance(8);
  await eventually(
    'the suspension is announced',
    async () => (await notices()).includes('agent.will_suspend'),
    {
      withinSeconds: 60,
    },
  );
  expect(await agent()).toMatchObject({ status: 'running' });
  await advance(8);
  await untilStatus('suspended');
  expect(await agent()).toMatchObject({ holds: [{ reason: 'payment' }], billing: { state: 'suspended' } });
  expect(await billed()).toEqual({ servers: ['off'], snapshots: 0 });
}, 180_000);

it('after a week a snapshot takes the place of its server, and its stack stays true', async () => {
  await advance(8);
  await untilStatus('hibernated');
  expect(await billed()).toEqual({ servers: [], snapshots: 1 });
  const receipt = await installation.ask(`/api/agents/${AGENT}/receipt`);
  expect(receipt.body).toMatchObject({
    kind: 'hibernate',
    body: { evidence: { removed: [{ kind: 'server' }] } },
  });
  const preview = await installation.npm([
    'pulumi',
    '--',
    'preview',
    '-s',
    `agent-${AGENT}`,
    '--expect-no-changes',
    '--non-interactive',
  ]);
  expect(preview.code, preview.stdout + preview.stderr).toBe(0);
}, 180_000);

it('a payment brings it back by itself, on one server, without its snapshot', async () => {
  const paid = await control(sandbox, 'POST', 'stripe/invoices/pay', { subscriptionId });
  expect(paid.status).toBe(200);
  await untilStatus('running');
  expect(await agent()).toMatchObject({ holds: [], health: 'healthy', billing: { state: 'paid' } });
  await eventually('only the server is billed', async () => (await billed()).snapshots === 0, {
    withinSeconds: 30,
  });
  expect(await billed()).toEqual({ servers: ['running'], snapshots: 0 });
  const told = (await notices()).filter((type) => !/running/.test(type));
  expect(told.indexOf('agent.will_suspend')).toBeLessThan(told.indexOf('agent.suspended'));
  expect(told).toContain('agent.resumed');
}, 180_000);

it('every change is in an audit log that is whole', async () => {
  await eventually(
    'the log is sealed',
    async () =>
      (await installation.npm(['agents', '--', 'audit', 'verify'])).stdout.includes(' 0 not sealed'),
    { withinSeconds: 60 },
  );
  const { stdout } = await installation.npm(['agents', '--', 'audit', AGENT]);
  for (const action of ['hold.place', 'agent.suspend', 'agent.hibernate', 'hold.release', 'agent.wake'])
    expect(stdout).toContain(action);
}, 90_000);
