import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { completeInputs } from '../../src/agents/inputs.ts';
import { getAgent } from '../../src/agents/store.ts';
import { LostError, RetryableError, ShortageError } from '../../src/errors.ts';
import { applyEffect } from '../../src/operations/effects.ts';
import { settleFailure } from '../../src/operations/settle.ts';
import {
  NotJoinedError,
  SoldOutError,
  StackLockedError,
  StackNotFoundError,
} from '../../src/pulumi/errors.ts';
import { provision as operation } from '../../src/runbooks/provision.ts';
import {
  claim,
  type OperationsFixture,
  OUTPUTS,
  openOperations,
  order,
  waitOver,
} from '../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
  sshKey,
} from '../support/runbook-fixture.ts';

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

/** The first attempt; it ends with this error if one is given. Returns the row of the next attempt. */
async function secondAttempt(error: unknown, step: string) {
  await order(at, 'a1');
  const { claim: first, row } = await claim(at);
  await operation.run(fixture.deps)((await prepareAttempt(at, row, fixture)).run);
  await settleFailure(at, first, { error, step });
  await waitOver(at);
  const { row: next } = await claim(at);
  fixture.calls.length = 0;
  fixture.programs.length = 0;
  fixture.devices.length = 0;
  return next;
}

async function provision(row: Awaited<ReturnType<typeof order>>) {
  const made = await prepareAttempt(at, row, fixture);
  return { ...made, effect: await operation.run(fixture.deps)(made.run) };
}
const getInputs = async () => completeInputs('a1', (await getAgent(at.database, 'a1')).inputs);
const lastProgram = () =>
  fixture.programs.at(-1) as Extract<(typeof fixture.programs)[number], { stack: 'agent' }>;

describe('the servers of a plan', () => {
  const sold = (eurosPerMonth: number | undefined, isAvailable = true) => [
    { location: 'nbg1', isAvailable, eurosPerMonth },
  ];
  beforeEach(() => {
    const types = { nbg1: ['cx23', 'cx33', 'cax11'] };
    fixture.deps.settings.planServers = { starter: { types, mostEurosPerMonth: 6 } };
    Object.assign(fixture.offers, { cx23: sold(3), cx33: sold(6), cax11: sold(4) });
  });
  const agentTypes = () =>
    fixture.programs.flatMap((program) => (program.stack === 'agent' ? [program.inputs.serverType] : []));
  const begin = async () => {
    await order(at, 'a1');
    return provision((await claim(at)).row);
  };

  test('the first one that is to be had is taken, and recorded before it is created', async () => {
    fixture.offers.cx23 = sold(3, false);
    await begin();
    expect(agentTypes()).toEqual(['cx33']);
    expect((await getInputs()).serverType).toBe('cx33');
  });

  test('one that turns out to be sold out is replaced by the next', async () => {
    fixture.answers['up agent'] = [new SoldOutError('no capacity'), new SoldOutError('no capacity')];
    const { lines } = await begin();
    expect(agentTypes()).toEqual(['cx23', 'cx33', 'cax11']);
    expect(fixture.calls.filter((call) => call.startsWith('up agent'))).toEqual([
      'up agent new',
      'up agent',
      'up agent',
    ]);
    expect((await getInputs()).serverType).toBe('cax11');
    expect(lines).toEqual(expect.arrayContaining(['cx23 is sold out in nbg1', 'cx33 is sold out in nbg1']));
  });

  test('none above the ceiling is taken: the order waits, and says for what', async () => {
    Object.assign(fixture.offers, { cx23: sold(3, false), cx33: sold(6.01), cax11: sold(undefined) });
    const waiting = await begin().catch((error: unknown) => error);
    expect(waiting).toBeInstanceOf(ShortageError);
    expect(waiting).toMatchObject({
      message:
        'Waiting for a server of plan starter in nbg1: cx23 is sold out; ' +
        'cx33 costs 6.01 € a month, more than 6 €; cax11 has no price',
    });
    expect(agentTypes()).toEqual([]);
  });

  test('a type that is not sold in the location, or not at all, is passed over', async () => {
    fixture.offers.cx23 = [{ location: 'hel1', isAvailable: true, eurosPerMonth: 3 }];
    delete fixture.offers.cx33;
    await begin();
    expect(agentTypes()).toEqual(['cax11']);
  });

  test('without a list, the usual type that is sold out makes the order wait too', async () => {
    delete fixture.deps.settings.planServers;
    fixture.answers['up agent'] = [new SoldOutError('no capacity')];
    await expect(begin()).rejects.toThrow('Waiting for a server of plan starter in nbg1: cx23 is sold out');
    expect(agentTypes()).toEqual(['cx23']);
  });

  test('a server that exists keeps its type in the next attempt', async () => {
    fixture.offers.cx23 = sold(3, false);
    const next = await secondAttempt(new RetryableError('the configuration failed'), 'configuring');
    fixture.servers.push(server('a1', 4711));
    Object.assign(fixture.offers, { cx23: sold(3), cx33: sold(6, false) });
    await provision(next);
    expect(agentTypes()).toEqual(['cx33']);
  });
});

describe('the first attempt', () => {
  test('runs foundation, stack and health in this order, and its success makes the agent running', async () => {
    await order(at, 'a1');
    const { row } = await claim(at);
    const { effect, steps } = await provision(row);
    expect(fixture.calls).toEqual([
      'step creating_server',
      'up foundation new',
      'up agent new',
      'step verifying',
      'healthy 100.64.0.1',
      'step running',
    ]);
    expect(steps).toEqual(['creating_server', 'verifying', 'running']);
    await at.database.transaction().execute((trx) => applyEffect(trx, row, effect));
    expect(await getAgent(at.database, 'a1')).toMatchObject({
      status: 'running',
      tailnet_ip: OUTPUTS.tailnetIp,
    });
  });

  test('records names and keys before it creates anything', async () => {
    await order(at, 'a1');
    const { row } = await claim(at);
    let before: Awaited<ReturnType<typeof getAgent>> | undefined;
    const up = fixture.executor.up;
    fixture.executor.up = async (...args) => {
      if (args[1].stack === 'agent') before = await getAgent(at.database, 'a1');
      return up(...args);
    };
    await provision(row);
    expect(before!.inputs).toMatchObject({
      agentId: 'a1',
      operationId: row.operation_id,
      location: 'nbg1',
      firewallId: 77,
      keyGeneration: 1,
    });
    expect(before!.secrets).not.toBeNull();
    expect(JSON.stringify(before!.inputs)).not.toContain('PRIVATE');
  });

  test('turns the engine’s progress into steps', async () => {
    await order(at, 'a1');
    const { row } = await claim(at);
    const up = fixture.executor.up;
    fixture.executor.up = async (run, program, options) => {
      const tell = (part: 'server' | 'configuration', phase: 'begins' | 'done') =>
        options.onProgress?.({ kind: 'resource', phase, operation: 'create', part, type: 'x', name: 'x' });
      tell('server', 'begins');
      tell('server', 'done');
      tell('configuration', 'begins');
      tell('configuration', 'done');
      return up(run, program, options);
    };
    const { steps } = await provision(row);
    expect(steps).toEqual(['creating_server', 'joining_network', 'configuring', 'verifying', 'running']);
  });

  test.each([
    ['the foundation', 'up foundation', ['step creating_server', 'up foundation new']],
    ['the stack', 'up agent', ['step creating_server', 'up foundation new', 'up agent new']],
    [
      'the first healthy answer',
      'healthy',
      ['step creating_server', 'up foundation new', 'up agent new', 'step verifying', 'healthy 100.64.0.1'],
    ],
  ] as const)('stops at a failure of %s', async (_, where, calls) => {
    const error = new RetryableError('not now');
    fixture.answers[where] = [error];
    await order(at, 'a1');
    const { row } = await claim(at);
    await expect(provision(row)).rejects.toBe(error);
    expect(fixture.calls).toEqual(calls);
  });

  test('fails if the stack succeeds without an output', async () => {
    await order(at, 'a1');
    const { row } = await claim(at);
    fixture.executor.up = async (_, program) => ({
      outputs: program.stack === 'foundation' ? { firewallId: '1' } : { ...OUTPUTS, tailnetIp: '' },
      changes: {},
      processes: 1,
    });
    await expect(provision(row)).rejects.toThrow(/tailnetIp/);
  });

  test('removes the stale lock of a dead process, once', async () => {
    fixture.answers['up agent'] = [new StackLockedError('locked')];
    await order(at, 'a1');
    const { row } = await claim(at);
    await provision(row);
    expect(fixture.calls.slice(2, 5)).toEqual(['up agent new', 'unlock agent', 'up agent new']);
  });

  test('gives up on a stack that is locked again at once', async () => {
    fixture.answers['up agent'] = [new StackLockedError('locked'), new StackLockedError('locked again')];
    await order(at, 'a1');
    const { row } = await claim(at);
    await expect(provision(row)).rejects.toThrow('locked again');
  });
});

describe('an attempt after a lost one', () => {
  test('adopts an existing server: same keys, same generation, imported by id', async () => {
    const row = await secondAttempt(new LostError('died'), 'creating_server');
    const before = { inputs: await getInputs(), secrets: (await getAgent(at.database, 'a1')).secrets };
    fixture.servers.push(server('a1', 42), server('a2', 43));
    fixture.sshKeys.push(sshKey('a1', 7));
    await provision(row);
    expect(fixture.calls).toEqual([
      'step creating_server',
      'refresh agent',
      'step joining_network',
      'up agent',
      'step verifying',
      'healthy 100.64.0.1',
      'step running',
    ]);
    expect(lastProgram().found).toEqual({ serverId: '42', sshKeyId: '7' });
    expect(lastProgram().inputs).toEqual(before.inputs);
    expect(await getInputs()).toEqual(before.inputs);
  });

  test('creates a missing stack with the key that the server joins with, and imports the server', async () => {
    const row = await secondAttempt(new LostError('died'), 'creating_server');
    fixture.answers['refresh agent'] = [new StackNotFoundError('no stack')];
    fixture.servers.push(server('a1', 42));
    fixture.tailnetKeys.push({ id: 'k1', description: `${(await getInputs()).serverName ?? 'agent-a1'} 1` });
    const up = fixture.executor.up;
    let seed: readonly { type: string; id?: string }[] = [];
    fixture.executor.up = (run, program, options) => {
      seed = options.seed ?? seed;
      return up(run, program, options);
    };
    await provision(row);
    const keys = seed.filter(({ type }) => type === 'tailscale:index/tailnetKey:TailnetKey');
    expect(keys.map(({ id }) => id)).toEqual(['k1']);
    expect(fixture.calls.slice(2, 4)).toEqual(['step joining_network', 'up agent new']);
    expect(lastProgram().found?.serverId).toBe('42');
  });

  test('without a server creates a new tailnet key and removes leftovers of the old one', async () => {
    const row = await secondAttempt(new LostError('died'), 'creating_server');
    fixture.tailnetKeys.push(
      { id: 'k1', description: 'agent-a1 1' },
      { id: 'k2', description: 'agent-a10 1' },
      { id: 'k3', description: 'someone else’s' },
      { id: 'k4' },
    );
    const { joinName } = fixture.vault;
    fixture.devices.push(
      { nodeId: 'd1', name: 'x', hostname: joinName('a1', 1), addresses: [], tags: ['tag:agent'] },
      { nodeId: 'd2', name: 'x', hostname: joinName('a1', 1), addresses: [] },
      { nodeId: 'd3', name: 'x', hostname: joinName('a10', 1), addresses: [], tags: ['tag:agent'] },
      // A device with the agent's hostname need not be the agent's.
      { nodeId: 'd4', name: 'agent-a1.ts.net', hostname: 'agent-a1', addresses: [], tags: ['tag:agent'] },
    );
    await provision(row);
    expect(fixture.tailnetKeys.map((key) => key.id)).toEqual(['k2', 'k3', 'k4']);
    expect(fixture.devices.map((device) => device.nodeId)).toEqual(['d2', 'd3', 'd4', 'n2']);
    expect(lastProgram().inputs.keyGeneration).toBe(2);
    expect(await getInputs()).toMatchObject({ keyGeneration: 2 });
  });

  test('records the new generation before it is used', async () => {
    const row = await secondAttempt(new LostError('died'), 'creating_server');
    let recorded = 0;
    fixture.executor.up = async () => {
      recorded = (await getInputs()).keyGeneration;
      throw new LostError('died');
    };
    await expect(provision(row)).rejects.toThrow(LostError);
    expect(recorded).toBe(2);
  });

  test('ends before it creates anything if the refresh fails', async () => {
    const row = await secondAttempt(new RetryableError('x'), 'creating_server');
    fixture.answers['refresh agent'] = [new RetryableError('the state cannot be read')];
    await expect(provision(row)).rejects.toThrow('the state cannot be read');
    expect(fixture.calls).toEqual(['step creating_server', 'refresh agent']);
  });
});

test('a server that did not join the tailnet in time is replaced', async () => {
  const row = await secondAttempt(new NotJoinedError('there is no device'), 'joining_network');
  fixture.servers.push(server('a1', 42));
  const destroy = fixture.executor.destroy;
  fixture.executor.destroy = async (run, program) => {
    fixture.servers.length = 0;
    return destroy(run, program);
  };
  await provision(row);
  expect(fixture.calls.slice(0, 4)).toEqual([
    'step creating_server',
    'refresh agent',
    'destroy agent',
    'up agent new',
  ]);
  expect(lastProgram().inputs.keyGeneration).toBe(2);
});

test('a server whose creation failed at Hetzner is replaced, whether or not a stack has it', async () => {
  const row = await secondAttempt(new RetryableError('the host has failed'), 'creating_server');
  fixture.servers.push(server('a1', 42));
  fixture.failedServers.add('42');
  fixture.answers['refresh agent'] = [new StackNotFoundError('no stack')];
  await provision(row);
  expect(fixture.calls.filter((call) => !call.startsWith('step'))).toEqual([
    'refresh agent',
    'delete server 42',
    'up agent new',
    'healthy 100.64.0.1',
  ]);
  expect(lastProgram().found).toEqual({});
});

test('a server whose attempt was lost while it joined is adopted, not replaced', async () => {
  const row = await secondAttempt(new LostError('the worker died'), 'joining_network');
  fixture.servers.push(server('a1', 42));
  await provision(row);
  expect(fixture.calls.some((call) => call.startsWith('delete') || call.startsWith('destroy'))).toBe(false);
  expect(lastProgram().found).toEqual({ serverId: '42' });
});

describe('the foundation', () => {
  test('is created once by concurrent attempts', async () => {
    const rows = [];
    for (const agentId of ['a1', 'a2', 'a3', 'a4']) await order(at, agentId);
    for (let index = 0; index < 4; index += 1) rows.push((await claim(at, `w${index}`)).row);
    const held = Promise.withResolvers<void>();
    const up = fixture.executor.up;
    let making = 0;
    fixture.executor.up = async (run, program, options) => {
      if (program.stack === 'foundation' && ++making === 1) await held.promise;
      return up(run, program, options);
    };
    const runs = rows.map(provision);
    const others = Promise.all(runs);
    while (making === 0) await new Promise(setImmediate);
    held.resolve();
    await others;
    expect(fixture.calls.filter((call) => call === 'up foundation new')).toHaveLength(1);
    expect(fixture.calls.filter((call) => call === 'up agent new')).toHaveLength(4);
  });

  test('is created by the next attempt after a failure, and adopts an existing firewall', async () => {
    await order(at, 'a1');
    await order(at, 'a2');
    const first = await claim(at, 'w1');
    const second = await claim(at, 'w2');
    fixture.answers['up foundation'] = [new LostError('died')];
    await expect(provision(first.row)).rejects.toThrow(LostError);
    await settleFailure(at, first.claim, { error: new LostError('died'), step: 'creating_server' });
    fixture.firewalls.push({ id: 5, name: 'agents-default' });
    await provision(second.row);
    expect(fixture.programs.find((program) => program.stack === 'foundation' && program.found)).toMatchObject(
      {
        found: { firewallId: '5' },
      },
    );
    const row = await at.database.selectFrom('foundations').selectAll().executeTakeFirstOrThrow();
    expect(row).toMatchObject({ firewall_id: '77', holder_operation: null });
  });

  test('is recreated by the next attempt after its firewall was deleted', async () => {
    await order(at, 'a1');
    const { row } = await claim(at);
    await provision(row);
    fixture.firewalls.length = 0;
    fixture.calls.length = 0;
    await provision({ ...row, attempt: 2 });
    expect(fixture.calls).toContain('refresh foundation');
    expect(fixture.calls).toContain('up foundation');
  });

  test('stops waiting when the attempt is aborted', async () => {
    await order(at, 'a1');
    await order(at, 'a2');
    const holder = await claim(at, 'w1');
    const waiter = await claim(at, 'w2');
    const held = Promise.withResolvers<never>();
    const begun = Promise.withResolvers<void>();
    fixture.executor.up = () => {
      begun.resolve();
      return held.promise;
    };
    const making = provision(holder.row).catch(() => {});
    await begun.promise;
    const made = await prepareAttempt(at, waiter.row);
    const waiting = operation.run(fixture.deps)(made.run);
    made.controller.abort(new LostError('lost'));
    await expect(waiting).rejects.toThrow();
    held.reject(new Error('over'));
    await making;
  });
});
