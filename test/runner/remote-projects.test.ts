import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { getAgent } from '../../src/agents/store.ts';
import { InvalidInputError, ShortageError } from '../../src/errors.ts';
import { recordForRunner, recordSchema } from '../../src/executors/github-actions/record.ts';
import type { Attempt } from '../../src/operations/attempt.ts';
import { markFull } from '../../src/projects/placement.ts';
import { createFoundationStore } from '../../src/runbooks/steps/foundation-store.ts';
import { createRemoteProjects } from '../../src/runner/remote-projects.ts';
import { Secret } from '../../src/secret.ts';
import { claim, type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { setTwoProjects } from '../support/two-projects.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await setTwoProjects(at.database);
});

/** An agent's provision on a runner with the tokens of these projects. */
async function setup(own: readonly string[] = ['default', 'other']) {
  await order(at, 'a1');
  const { row } = await claim(at);
  await at.database.updateTable('operations').set({ executor: 'github-actions' }).execute();
  const deps = {
    ...{ database: at.database, callbackSecret: new Secret('secret') },
    foundations: createFoundationStore(at.database, { evict: async () => {} }),
  };
  const record = (told: object) =>
    recordForRunner(deps, { jobId: row.operation_id }, recordSchema.parse(told));
  const attempt = { operation: row, agent: await getAgent(at.database, 'a1') } as unknown as Attempt;
  return { projects: createRemoteProjects({ record }, own), attempt };
}
const home = async () => (await getAgent(at.database, 'a1')).project;

test('a runner’s agent leaves a full project for one with room, which the audit log says', async () => {
  const { projects, attempt } = await setup();
  expect(await projects.findOther(attempt)).toBeUndefined();
  await projects.markFull(attempt);
  expect(await projects.findOther(attempt)).toBe('other');
  await projects.move(attempt, 'other');
  expect(await home()).toBe('other');
  const audited = await at.database
    .selectFrom('audit_log')
    .select(['agent_id', 'details'])
    .where('action', '=', 'agent.move-project')
    .execute();
  expect(audited).toEqual([{ agent_id: 'a1', details: { from: 'default', to: 'other' } }]);
});

test('it stays where the workflow has no token of the other project', async () => {
  const { projects, attempt } = await setup(['default']);
  await markFull(at.database, 'default');
  expect(await projects.findOther(attempt)).toBeUndefined();
});

test('it waits where the other has no room any more, or it got a server', async () => {
  const { projects, attempt } = await setup();
  await markFull(at.database, 'default');
  await at.database.updateTable('agents').set({ server_id: '4711' }).execute();
  await expect(projects.move(attempt, 'other')).rejects.toBeInstanceOf(ShortageError);
  await at.database.updateTable('agents').set({ server_id: null }).execute();
  await at.database
    .updateTable('hetzner_projects')
    .set({ most_servers: 0 })
    .where('name', '=', 'other')
    .execute();
  await expect(projects.move(attempt, 'other')).rejects.toBeInstanceOf(ShortageError);
  expect(await home()).toBe('default');
});

test('no other operation moves its agent', async () => {
  const { projects, attempt } = await setup();
  await at.database.updateTable('operations').set({ kind: 'restart' }).execute();
  await expect(projects.move(attempt, 'other')).rejects.toBeInstanceOf(InvalidInputError);
  expect(await home()).toBe('default');
});
