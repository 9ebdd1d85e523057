import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createVault } from '../../src/agents/secrets.ts';
import { getAgent } from '../../src/agents/store.ts';
import { claimNext } from '../../src/operations/claims.ts';
import { retryOperation } from '../../src/operations/retry.ts';
import { type RebuildDeps, rebuildState } from '../../src/recovery/rebuild-state.ts';
import { Secret } from '../../src/secret.ts';
import {
  ask,
  type OperationsFixture,
  openOperations,
  operation,
  order,
} from '../support/operations-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

interface There {
  servers?: object[];
  devices?: object[];
  /** Without our labels, so that no list has it. */
  unlabelled?: object;
}

const rebuild = ({ servers = [], devices = [], unlabelled }: There = {}) => {
  const page = (items: object[]) => async () => ({ items, nextPage: null });
  const none = async () => undefined;
  const project = {
    ...{ serverPage: page(servers), sshKeyPage: page([]), snapshotPage: page([]) },
    ...{ getServer: none, findServer: async () => unlabelled, findSshKey: none, getSnapshot: none },
  };
  const deps = {
    ...{ database: at.database, queue: at.queue, clock: { now: () => new Date() } },
    clouds: {
      projects: new Map([['default', project]]),
      tailscale: { listDevices: async () => devices },
    },
    ...{ vault: createVault(new Secret('passphrase')), orders: undefined },
    seal: { open: async () => undefined },
    snapshotSeal: { isValid: async () => false },
  };
  return rebuildState(deps as unknown as RebuildDeps, { actor: 'ann', apply: true });
};

/** A backup in which the provision of `a1` was queued, with these columns. */
async function restored(columns: { attempt?: number; waits_for?: string } = {}): Promise<string> {
  const { operation_id: operationId } = await order(at, 'a1');
  await at.database
    .updateTable('operations')
    .set({ run_after: new Date(), ...columns })
    .execute();
  if (columns.attempt !== undefined)
    await at.database.updateTable('agents').set({ status: 'provisioning' }).execute();
  await sql`insert into installation (mode, accounts, recovery) values ('sandbox', '{}', 'needed')`.execute(
    at.database,
  );
  return operationId;
}

const claimed = async () => {
  await sql`update operations set run_after = now() where status = 'queued'`.execute(at.database);
  return (await claimNext(at.database, 'w1'))?.kind;
};

describe('a provision that a backup has brought back, of whose agent nothing exists', () => {
  test.each([
    ['has not begun', {}],
    ['waits for stock', { waits_for: 'sold out' }],
    ['was under way', { attempt: 1 }],
  ])('makes no server until a person says so, if it %s', async (_, columns) => {
    const operationId = await restored(columns);
    const { unclear } = await rebuild();
    expect(unclear).toEqual([
      expect.objectContaining({
        agentId: 'a1',
        cure: expect.stringMatching(new RegExp(`agents -- retry ${operationId}\\. .*agents -- destroy a1`)),
      }),
    ]);
    expect(await operation(at, operationId)).toMatchObject({ status: 'cancelled' });
    expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'failed' });
    expect(await claimed()).toBe('rollback');
  });

  test('is made again if a person retries it', async () => {
    const operationId = await restored();
    await rebuild();
    await at.database
      .transaction()
      .execute((trx) => retryOperation(trx, at.queue, { operationId, actor: 'ann' }));
    expect(await claimed()).toBe('provision');
  });

  test('is destroyed once more if a person says so', async () => {
    await restored();
    await rebuild();
    await ask(at, 'a1', 'destroy');
    expect(await getAgent(at.database, 'a1')).toMatchObject({ status: 'destroying' });
  });

  test('is told again by a rebuild after one that was killed', async () => {
    await restored();
    const first = await rebuild();
    expect(first.unclear).toHaveLength(1);
    await sql`update installation set recovery = 'needed'`.execute(at.database);
    expect((await rebuild()).unclear).toEqual(first.unclear);
  });

  test.each([
    [
      'a server carries its label',
      { servers: [{ id: '1', name: 'srv-1', labels: { 'agent-id': 'a1' }, project: 'default' }] },
    ],
    [
      'its device is on the tailnet',
      { devices: [{ name: 'agent-a1.tail.ts.net', tags: [], addresses: [] }] },
    ],
    ['a server of its name has lost its label', { unlabelled: { id: '1', name: 'agent-a1' } }],
  ])('goes on if %s', async (_, there) => {
    const operationId = await restored({ attempt: 1 });
    const { unclear } = await rebuild(there);
    expect(unclear.filter(({ agentId }) => agentId === 'a1')).toEqual([]);
    expect(await operation(at, operationId)).toMatchObject({ status: 'queued' });
  });
});
