import { describe, expect, test } from 'vitest';
import { AGENT_STATUSES } from '../../../src/agents/states.ts';
import { compare, explain } from '../../../src/reconcile/sweep/compare.ts';
import { attributeDevices } from '../../../src/reconcile/sweep/devices.ts';
import type { AgentView, Finding } from '../../../src/reconcile/sweep/findings.ts';
import type { Resource } from '../../../src/reconcile/sweep/resources.ts';
import { attributeServers } from '../../../src/reconcile/sweep/servers.ts';

const agent = (view: Partial<AgentView> = {}): AgentView => ({
  agentId: 'a1',
  project: 'default',
  status: 'running',
  serverNames: [],
  serverId: '1',
  snapshotId: null,
  isSnapshotOutdated: false,
  tailnetIp: '100.64.0.1',
  nodeId: 'n1',
  operationId: 'op-1',
  keyGeneration: 2,
  firewallId: null,
  unfinished: false,
  lastBuildFailed: false,
  ...view,
});

type Change = Partial<{
  project: string;
  id: string;
  name: string;
  agentId: string | null;
  operationId: string | null;
  deleting: boolean;
  isOff: boolean;
  labelledFor: string | null;
  firewallIds: number[];
}>;
const server = (change: Change = {}): Resource => ({
  kind: 'server',
  project: 'default',
  id: '1',
  name: 'agent-a1',
  agentId: 'a1',
  operationId: 'op-1',
  deleting: false,
  isOff: false,
  labelledFor: change.agentId === undefined ? 'a1' : change.agentId,
  firewallIds: [],
  ...change,
});
const sshKey = (change: Change = {}): Resource => ({
  kind: 'ssh-key',
  recordDigest: '',
  project: 'default',
  id: '11',
  name: 'agent-a1',
  agentId: 'a1',
  operationId: 'op-1',
  ...change,
});
const snapshot = (change: Change = {}): Resource => ({
  kind: 'snapshot',
  project: 'default',
  serverId: '1',
  id: '9',
  name: 'agent-a1',
  agentId: 'a1',
  operationId: 'op-1',
  ...change,
});
const tailnetKey = (generation: number, agentId = 'a1'): Resource => ({
  kind: 'tailnet-key',
  id: `k${generation}`,
  name: `agent-${agentId} ${generation}`,
  agentId,
  generation,
});
/** A device whose agent is known. */
const device = (id: string, agentId: string | null = 'a1'): Resource => ({
  kind: 'device',
  id,
  name: 'agent-a1.tail.ts.net',
  agentId,
  hostname: 'agent-a1',
  addresses: ['100.64.0.1', 'fd7a::1'],
});

const own = [server(), sshKey(), device('n1')];
const all = { after: 0, upTo: Number.POSITIVE_INFINITY };

/** Each finding in short: `remove destroyed server 1`. */
function found(resources: Resource[], agents: AgentView[], serverRange: typeof all | null = all): string[] {
  const listsAllSnapshots = serverRange === all;
  const listed = new Map([['default', { serverRange, listsAllSnapshots }]]);
  return compare({ resources, listed }, agents).map(short);
}

function short(finding: Finding): string {
  expect(explain(finding)).toMatch(/^[A-Z].* a1|is unknown/);
  if (finding.reason === 'snapshot-gone') return `report snapshot-gone snapshot ${finding.snapshotId}`;
  const subject =
    finding.reason === 'server-gone' || finding.reason === 'server-incomplete'
      ? `server ${finding.serverId}`
      : `${finding.resource.kind} ${finding.resource.id}`;
  return `${finding.action} ${finding.reason} ${subject}`;
}

describe('removed', () => {
  const orphans = [server(), snapshot(), sshKey(), tailnetKey(1), device('n9')];
  const ids = ['server 1', 'snapshot 9', 'ssh-key 11', 'tailnet-key k1', 'device n9'];

  test('everything of a destroyed agent', () => {
    const destroyed = agent({ status: 'destroyed', serverId: null, tailnetIp: null });
    expect(found(orphans, [destroyed])).toEqual(ids.map((id) => `remove destroyed ${id}`));
  });

  test('everything of a failed agent without an unfinished operation', () => {
    const failed = agent({ status: 'failed', serverId: null, tailnetIp: null });
    expect(found(orphans, [failed])).toEqual(ids.map((id) => `remove rolled-back ${id}`));
  });

  test.each<[string, Resource, string]>([
    ['a tailnet key of an older generation', tailnetKey(1), 'tailnet-key k1'],
    ['a second device that joined for it', device('n9'), 'device n9'],
    ['a second server from its provision', server({ id: '2' }), 'server 2'],
    ['a snapshot that no row names', snapshot(), 'snapshot 9'],
  ])('of a live agent, from an earlier attempt: %s', (_name, resource, id) => {
    for (const status of ['running', 'stopping', 'stopped', 'suspended'] as const)
      expect(found([...own, resource], [agent({ status })])).toEqual([`remove earlier-attempt ${id}`]);
  });
});

describe('left alone', () => {
  test('the resources of a live agent', () => {
    expect(found([...own, tailnetKey(2), tailnetKey(3)], [agent()])).toEqual([]);
  });

  test.each(AGENT_STATUSES)('all resources of a %s agent with an unfinished operation', (status) => {
    const resources = [server({ id: '2' }), sshKey(), tailnetKey(1), device('n9')];
    expect(found(resources, [agent({ status, unfinished: true })])).toEqual([]);
  });

  test('a server that is already being deleted', () => {
    expect(found([server({ deleting: true })], [agent({ status: 'destroyed', serverId: null })])).toEqual([]);
  });

  test('a device that no row names, whatever its name', () => {
    expect(found([...own, device('n9', null)], [agent()])).toEqual(['report unknown-agent device n9']);
  });
});

describe('reported and not touched', () => {
  test('resources of an unknown agent, or of none', () => {
    const strange = [
      server({ agentId: 'x' }),
      sshKey({ agentId: null }),
      tailnetKey(1, 'x'),
      device('n9', 'x'),
      device('n8', null),
    ];
    expect(found(strange, []).every((text) => text.startsWith('report unknown-agent'))).toBe(true);
    expect(found(strange, [])).toHaveLength(strange.length);
  });

  test.each(['requested', 'provisioning', 'destroying'] as const)(
    'resources of a %s agent without an unfinished operation',
    (status) => {
      expect(found([server()], [agent({ status })])).toEqual(['report nothing-under-way server 1']);
    },
  );

  test('a second server or SSH key with an agent’s labels that its provision did not create', () => {
    const copies = [
      server({ id: '2', operationId: 'by-hand' }),
      sshKey({ id: '12', name: 'copy', operationId: null }),
      // All labels were copied, but the service would have named it after the agent.
      server({ id: '3', name: 'copy' }),
      sshKey({ id: '13', name: 'copy' }),
    ];
    expect(found([...own, ...copies], [agent()])).toEqual([
      'report not-ours server 2',
      'report not-ours ssh-key 12',
      'report not-ours server 3',
      'report not-ours ssh-key 13',
    ]);
    for (const status of ['destroyed', 'failed'] as const)
      expect(found(copies.slice(2), [agent({ status, serverId: null })])).toEqual([
        'report not-ours server 3',
        'report not-ours ssh-key 13',
      ]);
  });

  test('a second resource if the recorded one was not seen', () => {
    expect(found([server(), sshKey(), device('n9')], [agent()])).toEqual(['report own-unclear device n9']);
    expect(found([server({ id: '2' })], [agent()], null)).toEqual(['report own-unclear server 2']);
  });

  test('a second device after a failed rebuild: the row may name the old one', () => {
    expect(found([...own, device('n9')], [agent({ lastBuildFailed: true })])).toEqual([
      'report own-unclear device n9',
    ]);
  });

  test.each(['running', 'stopped', 'suspended'] as const)('a %s agent whose server is gone', (status) => {
    expect(found([sshKey(), device('n1')], [agent({ status })])).toEqual(['report server-gone server 1']);
  });
});

describe('a live agent’s own server, found by the recorded id', () => {
  const foundByRow = (resources: Resource[], agents: AgentView[]) =>
    found(attributeServers(resources, agents), agents);
  const others = [sshKey(), device('n1')];
  const gone = agent({ agentId: 'a2', status: 'destroyed', serverId: null, tailnetIp: null });

  test.each<[string, Change]>([
    ['a destroyed agent’s id', { agentId: 'a2' }],
    ['an unknown id', { agentId: 'x' }],
    ['no id', { agentId: null }],
    ['no operation', { operationId: null }],
  ])('that is labelled with %s is repaired, never removed', (_, change) => {
    expect(foundByRow([server(change), ...others], [agent(), gone])).toEqual([
      'mend server-incomplete server 1',
    ]);
    expect(foundByRow([server(change), ...others], [agent({ unfinished: true }), gone])).toEqual([]);
  });

  test('that has another live agent’s labels is not that agent’s second server', () => {
    const other = agent({ agentId: 'a2', serverId: '2', tailnetIp: null });
    const both = [server({ agentId: 'a2' }), server({ id: '2', name: 'agent-a2', agentId: 'a2' }), ...others];
    expect(foundByRow(both, [agent(), other])).toEqual(['mend server-incomplete server 1']);
  });

  test('that is not attached to the shared firewall is repaired', () => {
    const firewalled = agent({ firewallId: 77 });
    expect(foundByRow([server(), ...others], [firewalled])).toEqual(['mend server-incomplete server 1']);
    expect(foundByRow([server({ firewallIds: [5, 77] }), ...others], [firewalled])).toEqual([]);
  });
});

test('a server is reported missing only within the pages that were read', () => {
  const agents = ['5', '10', '20'].map((serverId) =>
    agent({ agentId: `a1${serverId}`, serverId, tailnetIp: null }),
  );
  expect(found([], agents, { after: 5, upTo: 10 })).toEqual(['report server-gone server 10']);
  expect(found([], agents, null)).toEqual([]);
});

describe('an address recorded without a device id', () => {
  const before = agent({ nodeId: null });

  test('identifies the agent’s device', () => {
    const alone = attributeDevices([device('n7', null)], [before], new Map());
    expect(alone.findings).toMatchObject([{ action: 'adopt', agentId: 'a1', resource: { id: 'n7' } }]);
  });

  test('identifies nothing once a server that joined for another agent has it', () => {
    const resource = { ...device('n7', null), hostname: 'join-x' } as Resource;
    const { resources, findings } = attributeDevices([resource], [before], new Map([['join-x', 'a2']]));
    expect(resources[0]?.agentId).toBe('a2');
    expect(findings).toEqual([]);
  });
});

describe('a hibernated agent', () => {
  const hibernated = agent({ status: 'hibernated', serverId: null, snapshotId: '9' });
  const kept = [snapshot(), sshKey(), device('n1')];

  test('keeps its snapshot, its key and its device', () => {
    expect(found([...kept, tailnetKey(2)], [hibernated])).toEqual([]);
    const unlabelled = snapshot({ agentId: null, operationId: null });
    expect(found(attributeServers([unlabelled], [hibernated]), [hibernated])).toEqual([]);
  });

  test('keeps the only copy of its disk, whatever its status says', () => {
    const half = agent({ status: 'suspended', snapshotId: '9' });
    expect(found([snapshot()], [half])).toEqual(['report server-gone server 1']);
  });

  test('loses another snapshot of it only beside its own', () => {
    const other = snapshot({ id: '8' });
    expect(found([...kept, other], [hibernated])).toEqual(['remove earlier-attempt snapshot 8']);
    expect(found([other], [hibernated])).toEqual([
      'report own-unclear snapshot 8',
      'report snapshot-gone snapshot 9',
    ]);
    const strange = snapshot({ id: '8', operationId: 'x' });
    expect(found([...kept, strange], [hibernated])).toEqual(['report not-ours snapshot 8']);
    expect(found([other], [agent()])).toContain('report own-unclear snapshot 8');
  });

  test('loses a server that is off and that its provision made, only beside its snapshot', () => {
    const off = server({ isOff: true });
    expect(found([...kept, off], [hibernated])).toEqual(['remove hibernated server 1']);
    expect(found([off], [hibernated])).toContain('report half-woken server 1');
    expect(found([...kept, server()], [hibernated])).toEqual(['report half-woken server 1']);
    // It was made by a wake, and may have run: what it has written since is in no snapshot.
    const copy = server({ id: '2', isOff: true });
    expect(found([...kept, copy], [hibernated])).toEqual(['report half-woken server 2']);
    // It has run since the snapshot was made.
    const outdated = { ...hibernated, isSnapshotOutdated: true };
    expect(found([...kept, off], [outdated])).toEqual(['report half-woken server 1']);
    const strange = server({ isOff: true, operationId: 'x' });
    expect(found([...kept, strange], [hibernated])).toEqual(['report not-ours server 1']);
  });

  test('is reported if its snapshot is not among all of them', () => {
    expect(found([sshKey()], [hibernated])).toEqual(['report snapshot-gone snapshot 9']);
    expect(found([sshKey()], [hibernated], null)).toEqual([]);
    expect(found([sshKey()], [{ ...hibernated, unfinished: true }])).toEqual([]);
  });
});
