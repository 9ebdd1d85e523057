import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { LostError } from '../../src/errors.ts';
import { StackLockedError } from '../../src/pulumi/errors.ts';
import type { Fence } from '../../src/pulumi/fence.ts';
import { StateKeyError } from '../../src/pulumi/state-key-error.ts';
import { moveProviders } from '../../src/rekey/providers.ts';
import { Secret } from '../../src/secret.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';

const KEY = 'awskms://alias/agents?region=eu-central-1';
const OTHER = 'hashivault://other';

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  failed = new Set();
});

/** What was done, in order. */
let calls: string[];
/** The stacks that could not be moved before. */
let failed: Set<string>;
const fence: Fence = {
  isHard: true,
  enter: async ({ agentId }) => {
    calls.push(`enter ${agentId}`);
    return { backendUrl: new Secret('postgres://own'), leave: async () => void calls.push('leave') };
  },
  evict: async () => {},
};

function move(
  providers: Record<string, string>,
  secrets: { url: string; before: string | undefined },
  /** What the moves of a stack fail with, one after the other. */
  failures: Record<string, Error[]> = { 'agent-broken': [new Error('its state is broken')] },
) {
  calls = [];
  const executor = {
    move: async ({ backendUrl }: { backendUrl: Secret }, name: string) => {
      calls.push(`move ${name} by ${backendUrl.reveal()}`);
      const error = failures[name]?.shift();
      if (error !== undefined) throw error;
      return undefined;
    },
    unlock: async ({ backendUrl }: { backendUrl: Secret }, name: string) => {
      calls.push(`unlock ${name} by ${backendUrl.reveal()}`);
      return undefined;
    },
  };
  const state = { listSecretsProviders: async () => new Map(Object.entries(providers)) };
  const backendUrl = new Secret('postgres://all');
  const deps = { database: at.database, log: at.log, fence, state, executor, backendUrl, secrets };
  return moveProviders(deps, new AbortController().signal, failed);
}

test('stacks move behind a login of their own; one of an unknown provider, and one that is worked on, stay', async () => {
  await order(at, 'a1');
  await order(at, 'a2');
  await sql`update operations set status = 'active', worker_id = 'w', lease_until = now() + interval '1 minute',
    claimed_at = now() where agent_id = 'a2'`.execute(at.database);
  const providers = {
    'agent-a1': 'passphrase',
    'agent-a2': 'passphrase',
    'agent-a3': OTHER,
    'agent-a4': KEY,
    'agent-broken': 'passphrase',
  };
  expect(await move(providers, { url: KEY, before: undefined })).toEqual(['agent-a1']);
  expect(calls).toEqual([
    'enter a1',
    'move agent-a1 by postgres://own',
    'leave',
    'enter broken',
    'move agent-broken by postgres://own',
    'leave',
  ]);
});

test('the provider that is named as the one before is left too, and the foundation is held by its row', async () => {
  await sql`insert into foundations (project) values ('default')`.execute(at.database);
  const providers = { 'foundation-default': OTHER, 'agent-a1': KEY };
  expect(await move(providers, { url: 'passphrase', before: OTHER })).toEqual(['foundation-default']);
  expect(calls).toEqual(['move foundation-default by postgres://all']);
});

test('a lock that a killed move has left is removed, under the login of the move', async () => {
  const failures = { 'agent-a1': [new StackLockedError('locked')] };
  expect(await move({ 'agent-a1': 'passphrase' }, { url: KEY, before: undefined }, failures)).toEqual([
    'agent-a1',
  ]);
  const own = 'agent-a1 by postgres://own';
  expect(calls).toEqual(['enter a1', `move ${own}`, `unlock ${own}`, `move ${own}`, 'leave']);
});

const moves = () => calls.filter((call) => call.startsWith('move ')).map((call) => call.split(' ')[1]);

test('the first failure of a key ends the round for the stacks of the same provider, and what failed comes last', async () => {
  const providers = {
    'agent-a1': OTHER,
    'agent-a2': OTHER,
    'agent-a3': 'passphrase',
    'agent-a4': 'passphrase',
  };
  const secrets = { url: KEY, before: OTHER };
  const away = { 'agent-a1': [new StateKeyError('away')] };
  expect(await move(providers, secrets, away)).toEqual(['agent-a3', 'agent-a4']);
  expect(moves()).toEqual(['agent-a1', 'agent-a3', 'agent-a4']);
  const again = { 'agent-a1': [new LostError('it took too long')] };
  expect(await move({ 'agent-a1': OTHER, 'agent-a2': OTHER }, secrets, again)).toEqual(['agent-a2']);
  expect(moves()).toEqual(['agent-a2', 'agent-a1']);
});
