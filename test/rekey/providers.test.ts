import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Fence } from '../../src/pulumi/fence.ts';
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
beforeEach(() => at.empty());

/** What was done, in order. */
let calls: string[];
const fence: Fence = {
  isHard: true,
  enter: async ({ agentId }) => {
    calls.push(`enter ${agentId}`);
    return { backendUrl: new Secret('postgres://own'), leave: async () => void calls.push('leave') };
  },
  evict: async () => {},
};

function move(providers: Record<string, string>, secrets: { url: string; before: string | undefined }) {
  calls = [];
  const executor = {
    move: async ({ backendUrl }: { backendUrl: Secret }, name: string) => {
      calls.push(`move ${name} by ${backendUrl.reveal()}`);
      if (name === 'agent-broken') throw new Error('the key service is away');
    },
  };
  const state = { listSecretsProviders: async () => new Map(Object.entries(providers)) };
  const backendUrl = new Secret('postgres://all');
  const deps = { database: at.database, log: at.log, fence, state, executor, backendUrl, secrets };
  return moveProviders(deps, new AbortController().signal);
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
