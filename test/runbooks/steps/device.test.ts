import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { outputColumns } from '../../../src/agents/outputs.ts';
import { succeed } from '../../../src/operations/settle.ts';
import { destroy } from '../../../src/runbooks/destroy.ts';
import { provision } from '../../../src/runbooks/provision.ts';
import { reconfigure } from '../../../src/runbooks/reconfigure.ts';
import { refresh } from '../../../src/runbooks/refresh.ts';
import { start } from '../../../src/runbooks/start.ts';
import {
  ask,
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  order,
} from '../../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
} from '../../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
});

const row = (agentId = 'a1') =>
  at.database.selectFrom('agents').selectAll().where('agent_id', '=', agentId).executeTakeFirstOrThrow();

async function provisioned(): Promise<void> {
  await order(at, 'a1');
  const { row: operation, claim: mine } = await claim(at);
  const effect = await provision.run(fixture.deps)((await prepareAttempt(at, operation, fixture)).run);
  await succeed(at, mine, effect);
  fixture.servers.push(server('a1', 42));
  await at.database.updateTable('agents').set({ server_id: '42' }).execute();
  fixture.calls.length = 0;
}

async function runNext(kind: 'destroy' | 'start' | 'refresh' | 'reconfigure') {
  await ask(at, 'a1', kind);
  const made = await prepareAttempt(at, (await claim(at)).row, fixture);
  const deps = { ...fixture.deps, shutdownSeconds: 0 };
  const create = {
    destroy: destroy.run,
    start: start.run,
    refresh: refresh.run,
    reconfigure: reconfigure.run,
  };
  return { ...made, effect: await create[kind](deps)(made.run) };
}

/** Root on a server can do this to its device. */
const callItself = (nodeId: string, hostname: string) => {
  fixture.devices.find((device) => device.nodeId === nodeId)!.hostname = hostname;
};
const squatter = { nodeId: 'n0', name: 'x.tail.ts.net', hostname: 'agent-a1', addresses: ['100.64.9.9'] };

describe('the device of a new agent', () => {
  test('joins under an unguessable name that is recorded before the device exists', async () => {
    let before: Awaited<ReturnType<typeof row>> | undefined;
    const up = fixture.executor.up;
    fixture.executor.up = async (...args) => {
      if (args[1].stack === 'agent') before = await row();
      return up(...args);
    };
    await provisioned();
    const { joinName } = before!.inputs as { joinName: string };
    expect(joinName).toMatch(/^join-[0-9a-f]{32}$/);
    expect(joinName).toBe(fixture.vault.joinName('a1', 1));
    expect(joinName).not.toBe(fixture.vault.joinName('a1', 2));
    expect(joinName).not.toBe(fixture.vault.joinName('a2', 1));
    const names = await at.database.selectFrom('tailnet_join_names').selectAll().execute();
    expect(names).toMatchObject([{ name: joinName, agent_id: 'a1', key_generation: 1 }]);
  });

  test('is recorded by its id once verified, under a name that its machine cannot change', async () => {
    // First in the list and under the agent's name, but not taken for it.
    fixture.devices.push({ ...squatter, tags: ['tag:agent'] });
    await provisioned();
    expect(fixture.names).toEqual(['n1 agent-a1']);
    expect(await row()).toMatchObject({
      tailnet_node_id: 'n1',
      tailnet_ip: OUTPUTS.tailnetIp,
      tailnet_name: 'agent-a1.tail.ts.net',
    });
  });

  test('gets a longer name if another device has the agent’s name', async () => {
    fixture.takenNames.add('agent-a1');
    await provisioned();
    expect(await row()).toMatchObject({ tailnet_node_id: 'n1', tailnet_name: 'agent-a1-n1.tail.ts.net' });
  });
});

describe('a device that claims another agent’s name', () => {
  beforeEach(async () => {
    fixture.devices.push({ ...squatter, tags: ['tag:agent'] });
    await provisioned();
    callItself('n1', 'something-else');
  });

  test('is not recorded by a refresh', async () => {
    expect((await runNext('refresh')).effect).toMatchObject({
      kind: 'refreshed',
      outputs: { tailnetIp: OUTPUTS.tailnetIp, tailnetNodeId: 'n1' },
    });
  });

  test('is not configured by a reconfigure, nor looked up by the stack', async () => {
    await runNext('reconfigure');
    const program = fixture.programs.at(-1)!;
    expect(program).toMatchObject({ device: { tailnetIp: OUTPUTS.tailnetIp } });
  });

  test('does not satisfy a start', async () => {
    await at.database.updateTable('agents').set({ status: 'stopped' }).execute();
    await runNext('start');
    expect(fixture.calls).toContain(`healthy ${OUTPUTS.tailnetIp}`);
  });

  test('is not removed by a destroy, which removes the agent’s own device, renamed or not', async () => {
    await runNext('destroy');
    expect(fixture.devices.map(({ nodeId }) => nodeId)).toEqual(['n0']);
  });

  test.each([undefined, ['tag:other'], ['tag:agent']])(
    'does not stop a destroy from completing (tags %s)',
    async (tags) => {
      fixture.devices[0] = { ...squatter, ...(tags === undefined ? {} : { tags }) };
      expect((await runNext('destroy')).effect).toMatchObject({ kind: 'destroyed' });
    },
  );
});

test('a device without its tag is reported, because the policy denies the controller access to it', async () => {
  await provisioned();
  fixture.devices[0]!.tags = [];
  expect((await runNext('refresh')).effect).toMatchObject({
    kind: 'unhealthy',
    error: expect.stringContaining('no longer has tag:agent'),
  });
});

test('two live agents never share an address or a device', async () => {
  await provisioned();
  await order(at, 'a2');
  const columns = { server_id: '43', status: 'running' as const };
  const write = (outputs: Partial<typeof OUTPUTS> & { tailnetNodeId: string }) =>
    at.database
      .updateTable('agents')
      .set({ ...outputColumns({ ...OUTPUTS, ...outputs }), ...columns })
      .where('agent_id', '=', 'a2')
      .execute();
  await expect(write({ tailnetNodeId: 'n2' })).rejects.toThrow('agents_tailnet_ip');
  await expect(write({ tailnetIp: '100.64.0.2', tailnetNodeId: 'n1' })).rejects.toThrow(
    'agents_tailnet_node_id',
  );
  await write({ tailnetIp: '100.64.0.2', tailnetNodeId: 'n2' });
});

describe('if an earlier version recorded one agent’s address for another too', () => {
  beforeEach(async () => {
    await provisioned();
    await sql`drop index agents_tailnet_ip`.execute(at.database);
    await order(at, 'a2');
    await at.database
      .updateTable('operations')
      .set({ status: 'cancelled', finished_at: new Date() })
      .where('agent_id', '=', 'a2')
      .execute();
    await at.database.updateTable('agents').set({ tailnet_node_id: null }).execute();
    await at.database
      .updateTable('agents')
      .set({ tailnet_ip: OUTPUTS.tailnetIp, server_id: '43', status: 'running' })
      .where('agent_id', '=', 'a2')
      .execute();
  });
  afterEach(async () => {
    await at.empty();
    await sql`create unique index agents_tailnet_ip on agents (tailnet_ip)`.execute(at.database);
  });

  test('a destroy of either agent leaves the device alone', async () => {
    callItself('n1', 'agent-a1');
    expect((await runNext('destroy')).effect).toMatchObject({ kind: 'destroyed' });
    expect(fixture.devices.map(({ nodeId }) => nodeId)).toEqual(['n1']);
  });

  test('a refresh reports it, does not rename the device, and suggests nothing that erases a disk', async () => {
    fixture.names.length = 0;
    expect((await runNext('refresh')).effect).toMatchObject({
      kind: 'unhealthy',
      error: expect.stringContaining('has the same address'),
    });
    expect(fixture.names).toEqual([]);
  });
});
