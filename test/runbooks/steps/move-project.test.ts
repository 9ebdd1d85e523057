import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { getAgent } from '../../../src/agents/store.ts';
import { jsonText } from '../../../src/database/storable.ts';
import { LostError, ShortageError } from '../../../src/errors.ts';
import { createProjectParts } from '../../../src/operations/project-parts.ts';
import { inProject, type RunbookParts } from '../../../src/operations/runbook-parts.ts';
import { markFull } from '../../../src/projects/placement.ts';
import { moveIfFull } from '../../../src/runbooks/steps/move-project.ts';
import { claim, type OperationsFixture, openOperations, order } from '../../support/operations-fixture.ts';
import { createRunbookFixture, prepareAttempt } from '../../support/runbook-fixture.ts';
import { setTwoProjects } from '../../support/two-projects.ts';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await setTwoProjects(at.database);
});

/** The second attempt of an agent's provision, in a project that Hetzner has called full. */
async function setup() {
  const fixture = createRunbookFixture(at);
  await order(at, 'a1');
  const { row } = await claim(at);
  await at.database
    .updateTable('agents')
    .set({ inputs: jsonText({ serverName: 's' }) })
    .execute();
  await markFull(at.database, 'default');
  const parts: RunbookParts = {
    ...fixture.deps,
    projects: createProjectParts(at.database),
    openProject: (name) => ({ ...fixture.deps.hetzner, name }) as never,
  };
  await at.database.updateTable('operations').set({ attempt: 2 }).execute();
  const { run: attempt } = await prepareAttempt(at, { ...row, attempt: 2 }, fixture);
  return { fixture, parts, attempt };
}

test('moves what has no server: everything in the former project goes first', async () => {
  const { fixture, parts, attempt } = await setup();
  const moved = await moveIfFull(parts, attempt);
  expect(moved.attempt.agent).toMatchObject({ project: 'other', inputs: null });
  expect(moved.parts.hetzner).toMatchObject({ name: 'other' });
  expect(fixture.calls.slice(0, 2)).toEqual(['refresh agent', 'destroy agent']);
  expect(await getAgent(at.database, 'a1')).toMatchObject({ project: 'other', inputs: null });
});

test.each([
  [
    'it is the first attempt',
    async ({ attempt }: Awaited<ReturnType<typeof setup>>) => {
      attempt.operation.attempt = 1;
    },
  ],
  [
    'its project is not full',
    async () => {
      await at.database.updateTable('hetzner_projects').set({ full_until: null }).execute();
    },
  ],
  ['no other has room', () => markFull(at.database, 'other')],
  [
    'it has a server',
    async ({ attempt }: Awaited<ReturnType<typeof setup>>) => {
      attempt.agent.server_id = '4711';
    },
  ],
])('stays where %s', async (_, change) => {
  const made = await setup();
  await change(made);
  const { parts, attempt } = made;
  expect(await moveIfFull(parts, attempt)).toEqual({ parts, attempt });
  expect((await getAgent(at.database, 'a1')).project).toBe('default');
});

test('an attempt that is no longer the agent’s moves nothing', async () => {
  const { parts, attempt } = await setup();
  await at.database.updateTable('operations').set({ attempt: 3 }).execute();
  await expect(moveIfFull(parts, attempt)).rejects.toBeInstanceOf(LostError);
  expect((await getAgent(at.database, 'a1')).project).toBe('default');
});

test.each([
  ['its last place is taken', { most_servers: 0 }],
  ['it is drained', { draining_since: new Date(), drained_by: 'ann' }],
])('where %s meanwhile, the agent waits and stays', async (_, change) => {
  const { parts, attempt } = await setup();
  const { findOther } = parts.projects!;
  parts.projects!.findOther = async (run) => {
    const other = await findOther(run);
    await at.database.updateTable('hetzner_projects').set(change).where('name', '=', 'other').execute();
    return other;
  };
  await expect(moveIfFull(parts, attempt)).rejects.toBeInstanceOf(ShortageError);
  expect((await getAgent(at.database, 'a1')).project).toBe('default');
});

test('work in a project that this process does not know waits', () => {
  const parts = { openProject: (name: string) => ({ name }) } as unknown as RunbookParts;
  expect(inProject(parts, 'us').hetzner).toEqual({ name: 'us' });
});
