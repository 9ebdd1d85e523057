import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { findReceipt } from '../../src/agents/receipts.ts';
import { getAgent } from '../../src/agents/store.ts';
import type { Snapshot } from '../../src/hetzner/hetzner.ts';
import type { RunbookParts } from '../../src/operations/runbook-parts.ts';
import { agentSnapshotName } from '../../stacks/inputs.ts';
import { toAgentSnapshotLabels, toLabels, toSnapshotLabels } from '../../stacks/labels.ts';
import { agentInputs } from '../support/inputs.ts';
import { lose } from '../support/interrupted-attempts.ts';
import { ask, type OperationsFixture, openOperations } from '../support/operations-fixture.ts';
import { type Attempted, attemptNext, runningAgent } from '../support/runbook-attempts.ts';
import { createRunbookFixture, type RunbookFixture, server, sshKey } from '../support/runbook-fixture.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
/** What Hetzner was asked, and every change anywhere, in order. */
let trace: string[];
/** When Hetzner gave its last answer, in milliseconds. */
let answeredAt: number;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(begin);

const owner = { agentId: 'a1', operationId: agentInputs('a1').operationId };
/** One call each: lists have 50 items a page. */
const BY_LABEL = ['listServers a1', 'listSnapshots a1', 'listSshKeys a1'];
const BY_NAME = ['findServer agent-a1', 'findSshKey agent-a1'];
const EVERY_QUESTION = [...BY_NAME, 'getServer 42', ...BY_LABEL];

/** An agent that runs, whose destroy is requested. Its stack has the server 42 and the key 7. */
async function begin(): Promise<void> {
  await at.empty();
  trace = [];
  answeredAt = 0;
  fixture = createRunbookFixture(at);
  await runningAgent(at, fixture);
  fixture.sshKeys.push({ ...sshKey('a1', 7), labels: toLabels(owner) });
  fixture.tailnetKeys.push({ id: 'k1', description: 'agent-a1 1' });
  const { destroy } = fixture.executor;
  fixture.deps.executor.destroy = async (...args) => {
    const result = await destroy(...args);
    removeById(fixture.servers, '42');
    removeById(fixture.sshKeys, '7');
    return result;
  };
  await ask(at, 'a1', 'destroy');
}

function removeById(all: { id: string }[], id: string): void {
  const index = all.findIndex((one) => one.id === id);
  if (index >= 0) all.splice(index, 1);
}

const QUESTION = /^(list|find|get)/;
const CHANGE = /^(delete|destroy|forget)/;

/** Records questions and changes; `around` may end the attempt before or after a change. */
function traced(
  target: RunbookParts,
  around: (when: 'before' | 'after') => Promise<void> = async () => {},
): RunbookParts {
  const wrapped = <T extends object>(part: T, questions: boolean): T =>
    new Proxy(part, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key);
        const verb = String(key);
        if (typeof value !== 'function') return value;
        if (questions && QUESTION.test(verb))
          return async (id: string) => {
            trace.push(`${verb} ${id}`);
            // As long as a clock can tell.
            await sleep(2);
            const answer: unknown = await Reflect.apply(value, object, [id]);
            answeredAt = Date.now();
            return answer;
          };
        if (!CHANGE.test(verb)) return value;
        return async (...args: unknown[]) => {
          await around('before');
          trace.push(verb);
          const answer: unknown = await Reflect.apply(value, object, args);
          await around('after');
          return answer;
        };
      },
    });
  return {
    ...target,
    hetzner: wrapped(target.hetzner, true),
    tailscale: wrapped(target.tailscale, false),
    executor: wrapped(target.executor, false),
    state: wrapped(target.state, false),
  };
}

const attempt = (around?: (when: 'before' | 'after') => Promise<void>): Promise<Attempted> =>
  attemptNext(at, fixture, { wrap: (parts) => traced(parts, around) });

const questionsIn = (part: string[]) => part.filter((one) => QUESTION.test(one)).sort();
const AT_HETZNER = /^(destroy|deleteServer|deleteSshKey|deleteSnapshot)$/;
/** What Hetzner was asked after the last change there. */
const proof = () => questionsIn(trace.slice(trace.findLastIndex((one) => AT_HETZNER.test(one)) + 1));

async function evidence() {
  const receipt = await findReceipt(at.database, 'a1');
  return receipt?.body.evidence as { removed: { kind: string; id: string }[]; gone: Record<string, string> };
}

async function expectGone(): Promise<void> {
  expect((await getAgent(at.database, 'a1')).status).toBe('destroyed');
  const { servers, sshKeys, snapshots, devices, tailnetKeys } = fixture;
  expect([servers, sshKeys, snapshots, devices, tailnetKeys]).toEqual([[], [], [], [], []]);
  const { gone } = await evidence();
  expect(Date.parse(gone.hetzner!)).toBeGreaterThanOrEqual(answeredAt);
}

test('an ordinary agent’s destroy asks Hetzner three times before and six times after the stack’s destroy', async () => {
  expect((await attempt()).error).toBeUndefined();
  const stack = trace.indexOf('destroy');
  expect(questionsIn(trace.slice(0, stack))).toEqual(BY_LABEL);
  expect(questionsIn(trace.slice(stack))).toEqual(EVERY_QUESTION);
  expect(questionsIn(trace)).toHaveLength(9);
  await expectGone();
  expect((await evidence()).removed).toMatchObject([
    { kind: 'server', id: '42' },
    { kind: 'ssh-key', id: '7' },
    { kind: 'device', id: 'n1' },
  ]);
});

test('Hetzner is not asked again while only Tailscale still lists a device', async () => {
  const { listDevices } = fixture.deps.tailscale;
  const [device] = fixture.devices;
  let after = 0;
  fixture.deps.tailscale.listDevices = async () => {
    if (trace.includes('forget')) after += 1;
    return after === 1 ? [device!] : listDevices();
  };
  fixture.deps.goneWithinSeconds = 60;
  expect((await attempt()).error).toBeUndefined();
  expect(after).toBe(2);
  expect(proof()).toEqual(EVERY_QUESTION);
});

const snapshot = (id: string, name: string, labels: Record<string, string>): Snapshot => ({
  ...{ id, name, labels, status: 'available', sizeGb: 1, serverId: '42' },
  ...{ isProtected: false, createdAt: new Date() },
});
const ownServer = (id: number) => ({ ...server('a1', id), labels: toLabels(owner) });
const renamed = { name: 'made-by-hand' };
/** Too few for the lists by label. */
const oneLabel = { labels: { 'operation-id': owner.operationId } };
const facts = { snapshotId: owner.operationId, why: 'manual', tailnetNodeId: null };

const record = (columns: { server_id?: string | null; snapshot_id?: string }) =>
  at.database.updateTable('agents').set(columns).execute();

const ownSnapshot = (id: string) =>
  snapshot(id, agentSnapshotName('a1'), toAgentSnapshotLabels(owner, { ...facts, snapshotId: randomUUID() }));

/** Records complete snapshots that are kept beside the server. */
const recordSnapshots = (...ids: string[]) =>
  at.database
    .insertInto('agent_snapshots')
    .values(
      ids.map((id) => ({
        ...{
          snapshot_id: randomUUID(),
          agent_id: 'a1',
          why: 'by-hand' as const,
          status: 'available' as const,
        },
        ...{ hetzner_id: id, size_gb: 1, server_id: '42' },
      })),
    )
    .execute();

interface Stray {
  what: string;
  id: string;
  arrange(): unknown;
  /** What is asked by recorded ids. */
  byId?: string[];
}

/** What the stack does not know, as killed creates and people leave it behind. */
const STRAYS: Stray[] = [
  {
    what: 'the recorded server, renamed',
    id: '43',
    arrange: () => {
      fixture.servers.push({ ...ownServer(43), ...renamed });
      return record({ server_id: '43' });
    },
    byId: ['getServer 43'],
  },
  {
    what: 'the recorded server, renamed and without labels',
    id: '43',
    arrange: () => {
      fixture.servers.push({ ...ownServer(43), ...renamed, labels: {} });
      return record({ server_id: '43' });
    },
    byId: ['getServer 43'],
  },
  {
    what: 'a server whose id was never recorded',
    id: '43',
    arrange: () => {
      fixture.servers.splice(0, 1, ownServer(43));
      return record({ server_id: null });
    },
    byId: [],
  },
  {
    what: 'a server with nothing but its name and the label of its provision',
    id: '43',
    arrange: () => {
      fixture.servers.splice(0, 1, { ...ownServer(43), ...oneLabel });
      return record({ server_id: null });
    },
    byId: [],
  },
  {
    what: 'an SSH key without labels',
    id: '8',
    arrange: () => fixture.sshKeys.splice(0, 1, { ...sshKey('a1', 8), labels: {} }),
  },
  {
    what: 'an SSH key that was renamed',
    id: '8',
    arrange: () => fixture.sshKeys.splice(0, 1, { ...sshKey('a1', 8), ...renamed }),
  },
  {
    what: 'an SSH key that was made again',
    id: '8',
    arrange: () =>
      fixture.sshKeys.splice(0, 1, { ...sshKey('a1', 8), ...oneLabel, publicKey: 'ssh-ed25519 OTHER' }),
  },
  {
    what: 'a snapshot of a hibernation',
    id: '9',
    arrange: () =>
      fixture.snapshots.push(snapshot('9', 'agent-a1', toSnapshotLabels(owner, owner.operationId))),
  },
  {
    what: 'the recorded snapshot, with other labels',
    id: '9',
    arrange: () => {
      fixture.snapshots.push(snapshot('9', 'made-by-hand', {}));
      return record({ snapshot_id: '9' });
    },
    byId: ['getServer 42', 'getSnapshot 9'],
  },
  {
    what: 'a snapshot beside its server',
    id: '9',
    arrange: () =>
      fixture.snapshots.push(snapshot('9', agentSnapshotName('a1'), toAgentSnapshotLabels(owner, facts))),
  },
  {
    what: 'a recorded snapshot beside its server, renamed',
    id: '9',
    arrange: () => {
      fixture.snapshots.push({ ...ownSnapshot('9'), ...renamed });
      return recordSnapshots('9');
    },
  },
  {
    what: 'a recorded snapshot beside its server, with other labels',
    id: '9',
    arrange: () => {
      fixture.snapshots.push({ ...ownSnapshot('9'), labels: {} });
      return recordSnapshots('9');
    },
    byId: ['getServer 42', 'getSnapshot 9'],
  },
];

test.each(STRAYS)(
  '$what is in the receipt, is removed, and Hetzner is asked everything after that',
  async ({ id, arrange, byId = ['getServer 42'] }) => {
    await arrange();
    expect((await attempt()).error).toBeUndefined();
    expect((await evidence()).removed.map((one) => one.id)).toContain(id);
    await expectGone();
    expect(proof()).toEqual([...BY_LABEL, ...BY_NAME, ...byId].sort());
  },
);

test('recorded snapshots that the list shows cost no call', async () => {
  fixture.snapshots.push(ownSnapshot('8'), ownSnapshot('9'));
  await recordSnapshots('8', '9');
  expect((await attempt()).error).toBeUndefined();
  expect(questionsIn(trace).filter((one) => one.startsWith('getSnapshot'))).toEqual([]);
  // As without any, and the look after their removal.
  expect(questionsIn(trace)).toHaveLength(3 + EVERY_QUESTION.length * 2);
  await expectGone();
});

test('a snapshot that only looks like the agent’s is named in the log and stays', async () => {
  const lines: string[] = [];
  const anothers = snapshot('8', agentSnapshotName('b2'), toLabels({ agentId: 'b2' }));
  fixture.snapshots.push(anothers, snapshot('9', 'made-by-hand', toLabels(owner)));
  await recordSnapshots('8');
  const { error } = await attemptNext(at, fixture, { wrap: (parts) => traced(parts), lines });
  expect(error).toBeUndefined();
  expect(fixture.snapshots.map(({ id }) => id)).toEqual(['8', '9']);
  expect((await evidence()).removed.map(({ id }) => id)).not.toContain('9');
  for (const one of ['agent-b2 snapshot (8)', 'made-by-hand (9)'])
    expect(lines.join('\n')).toContain(`${one} has this agent's name, labels or recorded id`);
});

test.each(['before', 'after'] as const)(
  'a kill %s any change ends in nothing left, with a receipt that rests on answers after the last change',
  { timeout: 60_000 },
  async (killed) => {
    for (let nth = 1; ; nth += 1) {
      if (nth > 1) await begin();
      fixture.servers.push({ ...ownServer(43), ...renamed });
      fixture.sshKeys.push({ ...sshKey('a1', 8), ...renamed });
      fixture.snapshots.push(snapshot('9', agentSnapshotName('a1'), toAgentSnapshotLabels(owner, facts)));
      await record({ server_id: '43' });
      let changes = 0;
      const { error } = await attempt(async (when) => {
        if (when === killed && ++changes === nth) await lose();
      });
      if (changes < nth) {
        // The stack, what it did not know, the device, the tailnet key and the state.
        expect(nth - 1).toBe(7);
        expect(error).toBeUndefined();
        return;
      }
      expect((await getAgent(at.database, 'a1')).status).toBe('destroying');
      expect(await findReceipt(at.database, 'a1')).toBeUndefined();
      while ((await getAgent(at.database, 'a1')).status === 'destroying')
        expect((await attempt()).error, `kill ${killed} change ${nth}`).toBeUndefined();
      await expectGone();
      expect(proof(), `kill ${killed} change ${nth}`).toEqual(
        [...BY_LABEL, ...BY_NAME, 'getServer 43'].sort(),
      );
    }
  },
);
