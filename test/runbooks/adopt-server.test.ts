import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { getAgentForOperation } from '../../src/agents/for-operation.ts';
import { getAgent } from '../../src/agents/store.ts';
import {
  ConflictError,
  InvalidInputError,
  PermanentError,
  RetryableError,
  ShortageError,
} from '../../src/errors.ts';
import { presentAgent } from '../../src/http/agents/agent-json.ts';
import { requestAbandonment } from '../../src/operations/abandon-adoption.ts';
import { applyEffect } from '../../src/operations/effects.ts';
import { operationDefinitions } from '../../src/operations/registry.ts';
import { createRunbooks, runbookFor } from '../../src/operations/runbooks.ts';
import { settleFailure, succeed } from '../../src/operations/settle.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import { requestAdoption } from '../../src/recovery/adopt-server.ts';
import { adoptServer } from '../../src/runbooks/adopt-server.ts';
import '../../src/runbooks/all.ts';
import { destroy } from '../../src/runbooks/destroy.ts';
import { rollback } from '../../src/runbooks/rollback.ts';
import { AccessError, type Joining } from '../../src/tailnet/admission/admission.ts';
import {
  ask,
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
} from '../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
} from '../support/runbook-fixture.ts';
import { stampAsNew } from '../support/stamp.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
/** What the server was given. */
let given: Joining[];
let admissionErrors: Partial<Record<'check' | 'admit' | 'undo', Error>>;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  given = [];
  admissionErrors = {};
  fixture.servers.push({ ...server('x', 1), name: 'web1', labels: { team: 'shop' }, firewallIds: [] });
  const reach = async (call: keyof typeof admissionErrors) => {
    fixture.calls.push(call);
    if (admissionErrors[call] !== undefined) throw admissionErrors[call];
  };
  fixture.deps.accessSeconds = 0;
  fixture.deps.admission = {
    check: () => reach('check'),
    admit: async (_, joining) => {
      given.push(joining);
      await reach('admit');
      const { joinName: hostname } = joining;
      const device = { name: `${hostname}.tail.ts.net`, addresses: [OUTPUTS.tailnetIp], tags: ['tag:agent'] };
      fixture.devices.push({ nodeId: 'n1', hostname, ...device });
    },
    undo: () => reach('undo'),
  };
});

const HOST_KEY = `ssh-ed25519 ${'A'.repeat(68)} root@web1`;
const wanted = { agentId: 'ada', server: '1', userId: 'u1', hostKey: HOST_KEY, actor: 'ann' };
const request = (more: Partial<typeof wanted> = {}) =>
  requestAdoption(
    {
      database: at.database,
      queue: at.queue,
      vault: fixture.vault,
      projects: new Map([['default', fixture.deps.hetzner]]),
    },
    { ...wanted, ...more },
  );
const begin = async () => {
  const { row, claim: own } = await claim(at);
  const attempt = await prepareAttempt(at, row, fixture);
  return { ...attempt, row, own };
};
/** Requests the adoption and carries one attempt out. */
const adopt = async () => {
  await request();
  const begun = await begin();
  return { ...begun, ending: adoptServer.run(fixture.deps)(begun.run) };
};
const statusOfAdoption = async () =>
  (await at.database.selectFrom('adoptions').select('status').executeTakeFirst())?.status;
const web1 = () => fixture.servers.find(({ id }) => id === '1');
const fail = (own: Awaited<ReturnType<typeof claim>>['claim'], error: unknown) =>
  settleFailure({ database: at.database, queue: at.queue }, own, { error, step: 'x' });

test('lets it join, marks it, imports it, and configures it', async () => {
  const { ending, own } = await adopt();
  const effect = await ending;
  expect(fixture.calls.filter((call) => !call.startsWith('up foundation'))).toEqual([
    'step preparing',
    'step awaiting_access',
    'check',
    'step joining_network',
    expect.stringMatching(/^create key srv-[0-9a-f]{20} 1$/),
    'admit',
    'step marking_server',
    expect.stringMatching(/^create ssh key srv-/),
    expect.stringMatching(/^name server 1 srv-/),
    'firewall 77 1',
    'step importing',
    'import agent',
    'step configuring',
    'up agent',
    'step verifying',
    `healthy ${OUTPUTS.tailnetIp}`,
    'step running',
  ]);
  await succeed({ database: at.database, queue: at.queue }, own, effect);
  const agent = await getAgent(at.database, 'ada');
  expect(agent).toMatchObject({
    status: 'running',
    health: 'healthy',
    server_id: '1',
    tailnet_node_id: 'n1',
  });
  expect(agent.inputs?.adopting).toBeUndefined();
  expect(await statusOfAdoption()).toBe('adopted');
  expect(web1()).toMatchObject({
    name: agent.inputs?.serverName,
    labels: { team: 'shop', 'agent-id': 'ada', 'managed-by': 'agents' },
    firewallIds: [77],
  });
});

test('tells the server its new host key, and keeps the tailnet key nowhere', async () => {
  const { ending } = await adopt();
  await ending;
  const agent = await getAgent(at.database, 'ada');
  const keys = fixture.vault.open('ada', agent.secrets!);
  expect(given[0]).toMatchObject({ tailnetKey: 'tskey-secret', hostPrivateKey: keys.nextHostPrivateKey });
  const { rows: _, ...stored } = { rows: 0, agent: { ...agent, secrets: null } };
  expect(JSON.stringify(stored)).not.toContain('tskey-secret');
});

test('waits until its owner has let the service in, and touches nothing meanwhile', async () => {
  admissionErrors.check = new AccessError('refused', { isRefused: true });
  const { ending, lines } = await adopt();
  await expect(ending).rejects.toThrow(ShortageError);
  expect(lines.join('\n')).toMatch(/as root(.|\n)*OPS_KEY='ssh-ed25519 /);
  expect(web1()).toMatchObject({ name: 'web1', labels: { team: 'shop' }, firewallIds: [] });
  expect([fixture.sshKeys, fixture.tailnetKeys]).toEqual([[], []]);
});

/** What breaks an attempt, each just before or at the call. */
const BREAKS: [string, (error: Error) => void][] = [
  ['the tailnet’s key is created', (error) => (fixture.answers['create key'] = [error])],
  ['the server is let in', (error) => (admissionErrors.admit = error)],
  ['its SSH key is uploaded', (error) => (fixture.answers['create ssh key'] = [error])],
  ['it is renamed', (error) => (fixture.answers['name server'] = [error])],
  ['the firewall is applied', (error) => (fixture.answers.firewall = [error])],
  ['it is imported', (error) => (fixture.answers['import agent'] = [error])],
  ['the playbook runs', (error) => (fixture.answers['up agent'] = [error])],
  ['it answers', (error) => (fixture.answers.healthy = [error])],
];

test.each(BREAKS)('an attempt after a kill while %s ends as the first would have', async (_, break_) => {
  break_(new Error('killed'));
  const { ending, row } = await adopt();
  await expect(ending).rejects.toThrow('killed');
  admissionErrors = {};
  const again = await prepareAttempt(at, { ...row, attempt: 2 }, fixture);
  const effect = await adoptServer.run(fixture.deps)(again.run);
  expect(effect).toMatchObject({ kind: 'server-adopted' });
  const { inputs } = await getAgent(at.database, 'ada');
  expect(web1()).toMatchObject({
    name: inputs?.serverName,
    labels: { 'agent-id': 'ada' },
    firewallIds: [77],
  });
  expect([fixture.servers, fixture.sshKeys, fixture.devices].map(({ length }) => length)).toEqual([1, 1, 1]);
  expect(fixture.tailnetKeys.length).toBeLessThanOrEqual(1);
  // The playbook has run since the state last said so.
  expect(inputs?.configuredBy).toBe(row.operation_id);
});

describe.each(BREAKS)('after the last failure, while %s,', (_, break_) => {
  test.each(['rollback', 'destroy'] as const)('a %s gives the server back as it was', async (kind) => {
    break_(new PermanentError('no'));
    const { ending, own } = await adopt();
    expect(await fail(own, await ending.catch((error) => error))).toBe('failed');
    if (kind === 'destroy') await ask(at, 'ada', 'destroy');
    const { run, own: next, lines } = await begin();
    expect(run.operation.kind).toBe(kind);
    const definition = kind === 'destroy' ? destroy : rollback;
    const effect = await definition.run(fixture.deps)(run);
    expect(lines.join('\n')).toContain('kernel.kexec_load_disabled');
    expect(web1()).toMatchObject({
      name: 'web1',
      labels: { team: 'shop' },
      firewallIds: [],
      status: 'running',
    });
    expect([fixture.sshKeys, fixture.devices, fixture.tailnetKeys]).toEqual([[], [], []]);
    expect(fixture.calls).toContain('undo');
    expect(fixture.calls.filter((call) => /^(delete server|destroy|power|shut|rebuild)/.test(call))).toEqual(
      [],
    );
    await succeed({ database: at.database, queue: at.queue }, next, effect as never);
    expect(await statusOfAdoption()).toBe(kind === 'destroy' ? 'given-back' : 'pending');
  });
});

describe('while what is on the server cannot be undone,', () => {
  /** An adoption that has failed after it was configured, with a rollback that waits. */
  const failAtTheEnd = async () => {
    fixture.answers.healthy = [new PermanentError('no')];
    const { ending, own } = await adopt();
    await fail(own, await ending.catch((error) => error));
  };
  const failed = async () => {
    await failAtTheEnd();
    return claim(at);
  };
  const rollBack = async (row: Awaited<ReturnType<typeof claim>>['row']) => {
    const { run, lines } = await prepareAttempt(at, row, fixture);
    const ending = await rollback
      .run(fixture.deps)(run)
      .catch((error: unknown) => error);
    return { ending, said: lines.join('\n') };
  };
  const AWAY = new AccessError('away', { isRefused: false });
  const rest = () => [fixture.sshKeys, web1()?.name, web1()?.labels, web1()?.firewallIds];
  const keepsWayIn = async () => {
    expect(fixture.devices).toHaveLength(1);
    expect((await getAgent(at.database, 'ada')).secrets).not.toBeNull();
  };

  test.each([
    ['it does not answer', AWAY],
    ['it shows another host key', new PermanentError('shows another host key')],
  ])('since %s, its device and keys stay, however often it was tried or lost', async (_, error) => {
    const { row } = await failed();
    admissionErrors.undo = error;
    for (const attempt of [1, 3, 20]) {
      const { ending } = await rollBack({ ...row, attempt, lost_count: attempt - 1 });
      expect(ending).toBe(error);
      await keepsWayIn();
    }
    expect(rest()).toEqual([[], 'web1', { team: 'shop' }, []]);
  });

  test('a worker that has lost the tailnet waits for it, and no try counts', async () => {
    const { row, claim: own } = await failed();
    fixture.deps.slots = { canReach: async () => false } as never;
    admissionErrors.undo = AWAY;
    const { ending } = await rollBack(row);
    expect(ending).toMatchObject({
      name: 'ShortageError',
      message: expect.stringMatching(/not on the tailnet.*away/),
    });
    expect(await fail(own, ending)).toBe('queued');
    await keepsWayIn();
    const after = await at.database
      .selectFrom('operations')
      .selectAll()
      .where('kind', '=', 'rollback')
      .execute();
    expect(after).toMatchObject([{ retry_count: 0, waits_for: expect.stringMatching(/tailnet/) }]);
  });

  test('a process that changes nothing on servers leaves it to one that does', async () => {
    const { row } = await failed();
    delete fixture.deps.admission;
    const { ending } = await rollBack(row);
    expect(ending).toMatchObject({ name: 'ShortageError', message: expect.stringMatching(/EXECUTOR=local/) });
    await keepsWayIn();
  });

  test.each(['rollback', 'destroy'] as const)('a person can give it up: a %s ends then', async (kind) => {
    await failAtTheEnd();
    admissionErrors.undo = AWAY;
    if (kind === 'destroy') await ask(at, 'ada', 'destroy');
    await at.database.updateTable('operations').set({ retry_count: 2 }).execute();
    const { claim: own } = await claim(at);
    expect(await fail(own, AWAY)).toBe('failed');
    const [item] = await listAttention(at.database, { limit: 5 });
    expect(item).toMatchObject({ class: 'failed', agentId: 'ada', cause: expect.stringMatching(/away/) });
    expect(item?.cure).toMatch(/press Abandon .*agents -- abandon/);
    const told = presentAgent(await getAgent(at.database, 'ada'), { holds: [], subscription: undefined });
    // Nobody is billed for it but its owner.
    expect(told.error).toMatch(
      kind === 'destroy' ? /away/ : /\nThe server could not be given back whole yet: away/,
    );
    expect(told.error).not.toMatch(/billed/);
    const abandon = () =>
      at.database
        .transaction()
        .execute((trx) => requestAbandonment(trx, at.queue, { agentId: 'ada', actor: 'ann' }));
    expect(await abandon()).toMatchObject({ kind, status: 'queued' });
    const { run, own: next, lines } = await begin();
    const effect = await (kind === 'destroy' ? destroy : rollback).run(fixture.deps)(run);
    expect(lines.join('\n')).toMatch(/stays, because it could not be undone: away/);
    await succeed({ database: at.database, queue: at.queue }, next, effect as never);
    expect([fixture.devices, (await getAgent(at.database, 'ada')).secrets]).toEqual([[], null]);
    await expect(abandon()).rejects.toThrow(ConflictError);
  });

  test('one that was never entered, or is gone at Hetzner, has nothing to undo', async () => {
    admissionErrors.check = new PermanentError('shows another host key');
    const { ending, own } = await adopt();
    await fail(own, await ending.catch((error) => error));
    admissionErrors.undo = AWAY;
    const { row } = await claim(at);
    expect((await rollBack(row)).ending).toEqual({ kind: 'rolled-back' });
    await at.empty();
    fixture.servers.splice(0);
    fixture.servers.push({ ...server('x', 1), name: 'web1', labels: {}, firewallIds: [] });
    admissionErrors = {};
    const again = await failed();
    fixture.servers.splice(0);
    admissionErrors.undo = AWAY;
    expect((await rollBack(again.row)).ending).toEqual({ kind: 'rolled-back' });
  });
});

test('after a day without access it ends, and a retry waits for another day', async () => {
  admissionErrors.check = new AccessError('refused', { isRefused: true });
  const { ending, row } = await adopt();
  await expect(ending).rejects.toThrow(ShortageError);
  const again = async () => adoptServer.run(fixture.deps)((await prepareAttempt(at, row, fixture)).run);
  const since = new Date(Date.now() - 24 * 3_600_000 - 1).toISOString();
  await sql`update agents set inputs = jsonb_set(inputs, '{adopting,since}', to_jsonb(${since}::text))`.execute(
    at.database,
  );
  await expect(again()).rejects.toMatchObject({
    name: 'PermanentError',
    message: expect.stringMatching(/within 24 hours.*Retry.*script/),
  });
  await at.database.transaction().execute((trx) => adoptServer.beforeRetry!(trx, 'ada'));
  await expect(again()).rejects.toThrow(ShortageError);
});

test('no other kind works on a server that is still its owner’s', async () => {
  await request();
  const { run, row } = await begin();
  const runbooks = createRunbooks(fixture.deps);
  for (const { kind, knowsForeignServers = false, from = [], exclusive } of operationDefinitions()) {
    const agent = { ...run.agent, status: exclusive ? (from[0] ?? 'running') : run.agent.status };
    const begins = () => runbookFor(runbooks, { ...row, kind }, agent);
    if (knowsForeignServers) expect(begins).not.toThrow();
    else expect(begins, kind).toThrow(PermanentError);
  }
  expect(
    operationDefinitions().flatMap(({ kind, knowsForeignServers }) => (knowsForeignServers ? [kind] : [])),
  ).toEqual(['adopt-server', 'rollback', 'destroy']);
});

test('an adoption whose row does not say what the server was before is left alone by every kind', async () => {
  await request();
  await sql`update agents set inputs = inputs - 'adopting'`.execute(at.database);
  await expect(getAgentForOperation(at.database, 'ada')).rejects.toThrow(/Server 1 is its owner's/);
});

test('what became somebody else’s meanwhile is left alone', async () => {
  await request();
  web1()!.labels = { 'managed-by': 'terraform' };
  const { run } = await begin();
  await expect(adoptServer.run(fixture.deps)(run)).rejects.toThrow(/terraform manages it/);
  expect(web1()).toMatchObject({ name: 'web1', firewallIds: [] });
});

test('what is attached to it after it was marked ends the adoption', async () => {
  fixture.answers.healthy = [new RetryableError('not yet')];
  const { ending, row } = await adopt();
  await expect(ending).rejects.toThrow('not yet');
  Object.assign(web1()!, { volumes: ['7'] });
  const { run } = await prepareAttempt(at, { ...row, attempt: 2 }, fixture);
  await expect(adoptServer.run(fixture.deps)(run)).rejects.toThrow(/volume 7 is attached to it/);
});

test('once it is adopted, a destroy deletes it as any agent’s', async () => {
  const { ending, own } = await adopt();
  await succeed({ database: at.database, queue: at.queue }, own, await ending);
  await ask(at, 'ada', 'destroy');
  const { run, row } = await begin();
  const effect = await destroy.run(fixture.deps)(run);
  expect(fixture.calls).toContain('delete server 1');
  await at.database.transaction().execute((trx) => applyEffect(trx, row, effect));
  const receipt = await at.database.selectFrom('receipts').select('body').executeTakeFirstOrThrow();
  expect(receipt.body).toMatchObject({ adoption: { serverId: '1', status: 'adopted' } });
});

describe('a request', () => {
  test('reserves the server: no second agent gets it', async () => {
    await request();
    await expect(request({ agentId: 'bob' })).rejects.toThrow(/is that of agent ada/);
  });

  test('is refused where GitHub’s runners carry operations out, and leaves nothing', async () => {
    await stampAsNew(at.database);
    await sql`update installation set executor = 'github-actions'`.execute(at.database);
    await expect(request()).rejects.toThrow(/adopt no servers/);
    expect(await at.database.selectFrom('agents').select('agent_id').execute()).toEqual([]);
  });

  test('is refused for a server with more labels than could be given back', async () => {
    web1()!.labels = Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`l${index}`, '']));
    await expect(request()).rejects.toThrow(/more than 64 labels/);
  });

  test('is refused for an id that was used, for a server of ours, and without a host key', async () => {
    await request();
    await expect(request()).rejects.toThrow(ConflictError);
    fixture.servers.push(server('other', 7));
    await expect(request({ agentId: 'bob', server: '7' })).rejects.toThrow(/label agent-id says/);
    fixture.servers.push({ ...server('x', 8), labels: {}, firewallIds: [] });
    const { hostKey: _, ...without } = wanted;
    await expect(
      requestAdoption(
        {
          database: at.database,
          queue: at.queue,
          vault: fixture.vault,
          projects: new Map([['default', fixture.deps.hetzner]]),
        },
        { ...without, agentId: 'eve', server: '8' },
      ),
    ).rejects.toThrow(InvalidInputError);
    expect(await at.database.selectFrom('agents').select('agent_id').execute()).toEqual([
      { agent_id: 'ada' },
    ]);
  });
});
