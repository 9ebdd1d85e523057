import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { expectNoChanges } from '../support/clean-stack.ts';
import { getHoldings, orderFault } from '../support/clouds.ts';
import { eventually } from '../support/eventually.ts';
import type { Installation } from '../support/installation.ts';
import { paidCheckout } from '../support/stripe-events.ts';
import { sweepInstallation } from '../support/sweep-now.ts';
import { useInstallation } from '../support/use-installation.ts';

let installation: Installation;
useInstallation(
  (started) => {
    installation = started;
  },
  { POOL: 'eu-west/starter=1', EXECUTOR: 'local' },
);

const unique = randomBytes(4).toString('hex');
const first = `pool-${unique}-1`;
const slots = (where = 'true') =>
  installation.query(`select * from slots where ${where} order by created_at`);
const untilReady = () =>
  eventually('the slot is ready', async () => (await slots("status = 'ready'")).length === 1, {
    withinSeconds: 120,
    describe: installation.terminal,
  });
/** The stacks of agents and slots, as `pulumi stack ls` lists them. */
const stacks = async (): Promise<string[]> =>
  (
    await installation.query(
      "select substring(key from '/stacks/agents/((?:agent|slot)-[^/]+)\\.json$') as name from pulumi_state",
      [],
      'pulumi',
    )
  ).flatMap(({ name }) => name ?? []);
const order = (agentId: string) =>
  installation.deliver(paidCheckout({ agentId, region: 'eu-west', plan: 'starter' }));

describe('a server that waits', () => {
  it('is made, configured and healthy before there is a customer', async () => {
    await untilReady();
    expect(await stacks()).toEqual([expect.stringMatching(/^slot-[0-9a-f]{24}$/)]);
    const { body } = await installation.ask('/api/agents');
    expect(body.items).toEqual([]);
  }, 180_000);

  it('is handed to the next order, which runs at once and answers with its own id', async () => {
    const [slot] = await slots("status = 'ready'");
    await order(first);
    const agent = await installation.untilAgent(first, 'running', 20);
    expect(agent).toMatchObject({ health: 'healthy', serverName: expect.stringMatching(/^srv-/) });
    const [claimed] = await slots(`agent_id = '${first}'`);
    expect(claimed.slot_id).toBe(slot.slot_id);
    const url = `${installation.connection.stripeApiUrl}/sandbox/machines/${agent.tailnetIp}/health`;
    expect(await (await fetch(url)).json()).toMatchObject({ status: 'ok', agentId: first });
    const { body: ledger } = await installation.ask(`/api/agents/${first}/ledger`);
    expect(ledger).toMatchObject({ way: 'warm' });
    console.log(`ordered → running: ${ledger.seconds} s, ${JSON.stringify(ledger.steps)}`);
  }, 60_000);

  it('becomes the agent’s in everything: stack, labels, names, and nothing is to change', async () => {
    await eventually(
      'it is adopted',
      async () => (await slots(`agent_id = '${first}' and status = 'adopted'`)).length === 1,
      { withinSeconds: 60, describe: installation.terminal },
    );
    const name = `agent-${first}`;
    expect(await getHoldings(installation.connection, first)).toEqual({
      servers: [name],
      sshKeys: [name],
      tailnetKeys: [],
      devices: [name],
    });
    expect(await stacks()).toContain(name);
    await expectNoChanges(installation, first);
    const { body: agent } = await installation.ask(`/api/agents/${first}`);
    expect(agent).toMatchObject({ status: 'running', tailnetName: expect.stringMatching(`^${name}\\.`) });
  }, 120_000);

  it('is replaced by another one, and the agent is destroyed like any other', async () => {
    await untilReady();
    expect((await sweepInstallation(installation.connection)).findings).toEqual([]);
    const destroyed = await installation.agents('destroy', first, '--yes', '--wait');
    expect(destroyed.stdout).toMatch(/destroy succeeded/);
    expect(await getHoldings(installation.connection, first)).toEqual({
      servers: [],
      sshKeys: [],
      tailnetKeys: [],
      devices: [],
    });
    const state = await installation.query(
      'select key from pulumi_state where key like $1',
      [`%${first}%`],
      'pulumi',
    );
    expect(state).toEqual([]);
  }, 120_000);

  it('that no longer answers is not given to anybody: the order goes cold and the slot is removed', async () => {
    await untilReady();
    // Its machine answers no more, as if it had died after its last check.
    const cold = `pool-${unique}-2`;
    await installation.query(
      'update machines set generation = generation + 100 where tailnet_ip = any($1)',
      [(await slots("status = 'ready'")).map((slot) => slot.tailnet_ip)],
      'sandbox',
    );
    await order(cold);
    const agent = await installation.untilAgent(cold, 'running', 60);
    const { body: ledger } = await installation.ask(`/api/agents/${cold}/ledger`);
    expect(ledger.way).toBe('cold');
    expect((await slots(`server_id = '${agent.serverId}'`)).length).toBe(0);
    await eventually(
      'the failed slot is removed',
      async () => (await slots("status = 'removed' and error like 'The server that waited%'")).length === 1,
      { withinSeconds: 120, describe: installation.terminal },
    );
  }, 240_000);

  it('makes room for an order where the project has as many servers as it may have', async () => {
    await untilReady();
    const limit = { area: 'hetzner', method: 'POST', path: '/servers', times: 1, effect: { kind: 'limit' } };
    await orderFault(installation.connection, limit);
    const elsewhere = `pool-${unique}-3`;
    await installation.deliver(paidCheckout({ agentId: elsewhere, region: 'us-east', plan: 'starter' }));
    await installation.untilAgent(elsewhere, 'running', 60);
    expect(await slots("status in ('removing', 'removed') and error like '%orders come first'")).toHaveLength(
      1,
    );
    const { body } = await installation.ask('/api/attention');
    expect(body.items).toContainEqual(
      expect.objectContaining({
        class: 'configuration',
        cause: expect.stringMatching(/No server is made to wait in fsn1 .*as many servers as it may have/),
      }),
    );
  }, 240_000);
});
