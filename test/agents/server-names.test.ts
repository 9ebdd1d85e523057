import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  newServerName,
  readServerNames,
  recordServerName,
  SERVER_NAME,
} from '../../src/agents/server-names.ts';
import { getAgent } from '../../src/agents/store.ts';
import { jsonText } from '../../src/database/storable.ts';
import { ConflictError, LostError } from '../../src/errors.ts';
import { createRecorders } from '../../src/operations/recorders.ts';
import { handBack } from '../../src/operations/settle.ts';
import { provision } from '../../src/runbooks/provision.ts';
import { isAnothers } from '../../src/runbooks/steps/own-server.ts';
import type { AgentInputs } from '../../stacks/inputs.ts';
import { claim, type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { createRunbookFixture, prepareAttempt, server } from '../support/runbook-fixture.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(() => at.empty());

/** Runs the provision of a new agent, whose server gets a name of its own. */
async function begin(agentId: string) {
  const fixture = createRunbookFixture(at);
  fixture.deps.newServerName = newServerName;
  await order(at, agentId);
  const { row } = await claim(at);
  const { run } = await prepareAttempt(at, row, fixture);
  await provision.run(fixture.deps)(run);
  const { inputs } = await getAgent(at.database, agentId);
  return { fixture, row, serverName: inputs!.serverName! };
}

test('a new agent’s server has a name that says nothing about it, and every attempt uses the same', async () => {
  const { fixture, row, serverName } = await begin('a1');
  expect(serverName).toMatch(SERVER_NAME);
  expect(await readServerNames(at.database, [serverName, 'srv-unknown'])).toEqual(
    new Map([[serverName, 'a1']]),
  );
  fixture.servers.push({ ...server('a1', 4711), name: serverName, labels: {} });
  fixture.servers[0]!.labels = { 'operation-id': row.operation_id };
  const { run } = await prepareAttempt(at, { ...row, attempt: 2 }, fixture);
  await provision.run(fixture.deps)(run);
  // It finds the first attempt's server by that name, and takes it over.
  expect(fixture.programs.at(-1)).toMatchObject({ inputs: { serverName }, found: { serverId: '4711' } });
});

test('an attempt that is over names no server, and none replaces the name that is recorded', async () => {
  const { fixture, row, serverName } = await begin('a1');
  const earlier = await prepareAttempt(at, row, fixture);
  const { recordInputs } = createRecorders(at.database);
  const { inputs, secrets } = earlier.run.agent as { inputs: AgentInputs; secrets: Buffer };
  const other = { inputs: { ...inputs, serverName: newServerName() }, secrets: Buffer.from('other') };
  await expect(recordInputs(earlier.run, other)).rejects.toBeInstanceOf(ConflictError);
  await expect(
    recordInputs(earlier.run, { inputs: { ...inputs, serverName: undefined }, secrets }),
  ).rejects.toBeInstanceOf(ConflictError);
  await recordInputs(earlier.run, { inputs: { ...inputs, keyGeneration: 2 }, secrets });
  await handBack(at, { operationId: row.operation_id, attempt: row.attempt, workerId: 'w1' }, 'queued');
  await claim(at);
  await expect(recordInputs(earlier.run, { inputs, secrets })).rejects.toBeInstanceOf(LostError);
  await expect(recordInputs(earlier.run, other)).rejects.toBeInstanceOf(LostError);
  const recorded = await getAgent(at.database, 'a1');
  expect(recorded.inputs).toEqual({ ...inputs, serverName, keyGeneration: 2 });
  expect(recorded.secrets).toEqual(secrets);
  expect(await readServerNames(at.database, [other.inputs.serverName])).toEqual(new Map());
});

test('an agent from before keeps the name of its server', async () => {
  const { fixture, row } = await begin('a1');
  const { run } = await prepareAttempt(at, { ...row, attempt: 2 }, fixture);
  const { serverName: _, ...inputs } = run.agent.inputs!;
  await at.database
    .updateTable('agents')
    .set({ inputs: jsonText(inputs) })
    .execute();
  await provision.run(fixture.deps)({ ...run, agent: { ...run.agent, inputs } });
  const { inputs: used } = fixture.programs.at(-1) as { inputs: { serverName?: string } };
  expect(used.serverName).toBeUndefined();
});

test('a name belongs to one owner for ever', async () => {
  const serverName = newServerName();
  await recordServerName(at.database, 'a1', { serverName });
  await recordServerName(at.database, 'a1', { serverName });
  await expect(recordServerName(at.database, 'b', { serverName })).rejects.toBeInstanceOf(ConflictError);
});

test('a server with a random name and another agent’s label is that agent’s, unless the name is the own one', () => {
  const serverName = newServerName();
  const other = { name: newServerName(), labels: { 'agent-id': 'b' } };
  const agent = { agent_id: 'a1', server_id: '1', inputs: { serverName } };
  expect(isAnothers(other, agent)).toBe(true);
  expect(isAnothers({ ...other, name: serverName }, agent)).toBe(false);
  expect(isAnothers({ name: 'shop', labels: other.labels }, agent)).toBe(false);
});
