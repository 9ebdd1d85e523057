import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { RetryableError } from '../../src/errors.ts';
import { succeed } from '../../src/operations/settle.ts';
import { provision } from '../../src/runbooks/provision.ts';
import { refresh } from '../../src/runbooks/refresh.ts';
import { ensureFoundation } from '../../src/runbooks/steps/foundation.ts';
import { createFoundationStore } from '../../src/runbooks/steps/foundation-store.ts';
import { ask, claim, type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
} from '../support/runbook-fixture.ts';

const KEY = 'awskms://key?region=eu-central-1';
let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  await order(at, 'a1');
  const { row, claim: mine } = await claim(at);
  const { run } = await prepareAttempt(at, row, fixture);
  await succeed(at, mine, await provision.run(fixture.deps)(run));
  fixture.servers.push(server('a1', 42));
  await at.database.updateTable('agents').set({ server_id: '42' }).execute();
});

/** Refreshes the agent. @returns whether the foundation was updated */
async function refreshed(): Promise<boolean> {
  await ask(at, 'a1', 'refresh');
  const { row, claim: mine } = await claim(at);
  const { run } = await prepareAttempt(at, row, fixture);
  fixture.calls.length = 0;
  const effect = await refresh.run(fixture.deps)(run);
  expect(effect).toMatchObject({ kind: 'refreshed', health: 'healthy' });
  await succeed(at, mine, effect);
  return fixture.calls.includes('up foundation new');
}

test('moves the foundation once to another secrets provider, and its failure is not the agent’s', async () => {
  fixture.deps.state.secretsProvider = async () => 'passphrase';
  expect(await refreshed()).toBe(false);
  const foundations = createFoundationStore(at.database, { evict: async () => {} }, KEY);
  const { executor, hetzner } = fixture.deps;
  fixture.deps.ensureFoundation = (run, project) =>
    ensureFoundation({ foundations, executor, hetzner }, run, project);
  fixture.answers['up foundation'] = [new RetryableError('Hetzner answered 500')];
  await refreshed();
  expect(await refreshed()).toBe(true);
  expect(await refreshed()).toBe(false);
});

test('makes no foundation where none is known', async () => {
  await at.database.deleteFrom('foundations').execute();
  expect(await refreshed()).toBe(false);
});
