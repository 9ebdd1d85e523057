import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { encodeOpensshPublicKey } from '../../../src/agents/openssh.ts';
import { findForeign, startCloudSweep, sweptClouds } from '../../../src/app/cloud-sweep.ts';
import { TAILSCALE_KEY } from '../../../src/config/accounts.ts';
import type { Connections, HetznerProject } from '../../../src/connections/connections.ts';
import { jsonText } from '../../../src/database/storable.ts';
import { createHetznerClient } from '../../../src/hetzner/hetzner.ts';
import { applyProjects } from '../../../src/projects/projects.ts';
import { projectsProbe } from '../../../src/reconcile/checks/projects-probe.ts';
import { OtherProjectError } from '../../../src/reconcile/project.ts';
import { hetznerOf } from '../../../src/reconcile/sweep/inventory.ts';
import { lastSweep } from '../../../src/reconcile/sweep/sweeps.ts';
import { Secret } from '../../../src/secret.ts';
import { tokens } from '../../support/sandbox.ts';
import { request } from '../../support/sandbox-hetzner.ts';
import { openSweepFixture, type SweepFixture } from '../../support/sweep-fixture.ts';

let fixture: SweepFixture;
const issued: string[] = [];
beforeAll(async () => {
  fixture = await openSweepFixture();
  for (let count = 0; count < 2; count++) {
    const grant = { vendor: 'hetzner', permission: 'write', project: 'us' };
    issued.push((await request(`${fixture.sandbox.url}/sandbox/credentials`, 'POST', grant, {})).body.token);
  }
});
afterAll(() => fixture.close());
beforeEach(() => fixture.empty());

const accountOf = (name: string, token: string) => ({
  name,
  token: new Secret(token),
  endpoint: `${fixture.sandbox.url}/hetzner/v1`,
});
/** The sandbox's own project, and `us`. */
const openClouds: SweepFixture['openClouds'] = (watches) => ({
  ...fixture.openClouds(watches),
  projects: new Map(
    [accountOf('default', tokens.hcloudToken), accountOf('us', issued[0]!)].map((account) => [
      account.name,
      createHetznerClient(account, watches.project(account.name)),
    ]),
  ),
});
const inUs = async (method: string, path: string, body?: unknown) =>
  (
    await request(`${fixture.sandbox.url}/hetzner/v1${path}`, method, body, {
      authorization: `Bearer ${issued[0]}`,
    })
  ).body;

async function serverInUs(agentId: string, operationId = 'earlier'): Promise<number> {
  const { server, action } = await inUs('POST', '/servers', {
    name: `agent-${agentId}`,
    server_type: 'cpx22',
    image: 'debian-12',
    location: 'nbg1',
    start_after_create: false,
    labels: { 'agent-id': agentId, 'operation-id': operationId, 'managed-by': 'agents' },
  });
  for (let now = action; now.status === 'running'; ) now = (await inUs('GET', `/actions/${now.id}`)).action;
  return server.id;
}
const idsInUs = async () => (await inUs('GET', '/servers')).servers.map(({ id }: { id: number }) => id);
const move = (agentId: string, project: string) =>
  fixture.database.updateTable('agents').set({ project }).where('agent_id', '=', agentId).execute();

test('orphans of each project are removed, and what agents have in each is kept', async () => {
  const [here, there] = [await fixture.server('gone-here'), await serverInUs('gone-there')];
  await fixture.agent('gone-here', { status: 'destroyed' });
  await fixture.agent('gone-there', { status: 'destroyed' });
  await move('gone-there', 'us');
  const kept = await serverInUs('stays');
  await fixture.agent('stays', { status: 'running', serverId: kept, tailnetIp: '100.64.9.1' });
  await move('stays', 'us');
  const report = await fixture.sweep({ openClouds });
  expect(report).toMatchObject({ removed: 2, note: null, next: null });
  expect(report.findings.filter((text) => text.startsWith('Removed'))).toHaveLength(2);
  expect((await fixture.left()).servers).not.toContain(here);
  expect(await idsInUs()).toEqual([kept]);
  expect(await idsInUs()).not.toContain(there);
});

test('what an agent has left in a project that it moved away from is removed', async () => {
  const seed = { status: 'running', serverId: 1, tailnetIp: '100.64.9.2' } as const;
  const { operationId } = await fixture.agent('moved', seed);
  const own = await serverInUs('moved', operationId);
  const late = await fixture.server('moved', { operationId });
  const key = await fixture.sshKey('moved', { operationId });
  await inUs('POST', '/ssh_keys', {
    name: 'agent-moved',
    public_key: (await fixture.hcloud('GET', `/ssh_keys/${key}`)).ssh_key.public_key,
    labels: { 'agent-id': 'moved', 'operation-id': operationId, 'managed-by': 'agents' },
  });
  await fixture.database
    .updateTable('agents')
    .set({ server_id: String(own), project: 'us' })
    .where('agent_id', '=', 'moved')
    .execute();
  expect(await fixture.sweep({ openClouds })).toMatchObject({ removed: 2 });
  expect(await fixture.left()).toMatchObject({ servers: [], sshKeys: [] });
  expect(late).toBeGreaterThan(0);
  expect(await idsInUs()).toEqual([own]);
  expect((await inUs('GET', '/ssh_keys')).ssh_keys).toHaveLength(1);
});

test('a project that fails hides nothing of the others, and nothing of it is called gone', async () => {
  await fixture.server('gone-here');
  await fixture.agent('gone-here', { status: 'destroyed' });
  await fixture.agent('unseen', { status: 'running', serverId: 999_999_999, tailnetIp: '100.64.9.3' });
  await move('unseen', 'us');
  const failing: SweepFixture['openClouds'] = (watches) => {
    const clouds = openClouds(watches);
    const us = hetznerOf(clouds, 'us');
    const serverPage = async () => Promise.reject(new Error('the token is not valid'));
    return { ...clouds, projects: new Map([...clouds.projects, ['us', { ...us, serverPage }]]) };
  };
  const report = await fixture.sweep({ openClouds: failing });
  expect(report.removed).toBe(1);
  expect(report.findings).toContain('The Hetzner project us could not be compared: the token is not valid');
  expect(report.findings.filter((text) => text.includes('no longer at Hetzner'))).toEqual([]);
  // The cycle ends without it, and its lists are read from the beginning in the next one.
  expect(report).toMatchObject({ next: null, note: 'The Hetzner project us could not be compared' });
  const next = await fixture.sweep({ openClouds });
  expect(next.findings).toEqual(['Server 999999999 of agent unseen is no longer at Hetzner']);
  expect(next.next).toBeNull();
});

test('a project that cannot be listed keeps its mismatches, and those of the others are forgotten', async () => {
  await fixture.server('nobody-here');
  await serverInUs('nobody-there');
  await fixture.sweep({ openClouds });
  const found = async () =>
    (
      await fixture.database
        .selectFrom('findings')
        .select('project')
        .where('source', '=', 'sweep')
        .orderBy('project')
        .execute()
    ).map(({ project }) => project);
  expect(await found()).toEqual(['default', 'us']);
  await fixture.cloud.query('TRUNCATE hetzner_servers, hetzner_primary_ips CASCADE');
  await applyProjects(fixture.database, [
    { name: 'default', locations: undefined, mostServers: undefined },
    { name: 'us', locations: undefined, mostServers: undefined },
  ]);
  // As a process does that does not have the other one yet.
  expect(await fixture.sweep()).toMatchObject({ next: null });
  expect(await found()).toEqual(['us']);
  await fixture.sweep({ openClouds });
  expect(await found()).toEqual([]);
});

test('two tokens of one project delete nothing, and it is swept once', async () => {
  const seed = { status: 'running', serverId: 1, tailnetIp: '100.64.9.4' } as const;
  const { operationId } = await fixture.agent('twice', seed);
  const own = await serverInUs('twice', operationId);
  await fixture.database
    .updateTable('agents')
    .set({ server_id: String(own), project: 'us' })
    .where('agent_id', '=', 'twice')
    .execute();
  await inUs('POST', '/ssh_keys', {
    name: 'agent-twice',
    public_key: encodeOpensshPublicKey(randomBytes(32)),
    labels: { 'agent-id': 'twice', 'operation-id': operationId, 'managed-by': 'agents' },
  });
  expect((await inUs('GET', '/ssh_keys')).ssh_keys).toHaveLength(1);
  const twice: SweepFixture['openClouds'] = (watches) => ({
    ...fixture.openClouds(watches),
    projects: new Map(
      [accountOf('us', issued[0]!), accountOf('us-2', issued[1]!)].map((account) => [
        account.name,
        createHetznerClient(account, watches.project(account.name)),
      ]),
    ),
  });
  expect(await fixture.sweep({ openClouds: twice })).toMatchObject({
    removed: 0,
    listed: 2,
    findings: [
      'The Hetzner project us-2 could not be compared: HCLOUD_TOKEN_US and HCLOUD_TOKEN_US_2 are tokens of one Hetzner project',
    ],
  });
  expect((await inUs('GET', '/ssh_keys')).ssh_keys).toHaveLength(1);
});

test('one token of another Hetzner project is left out of the sweep until it is replaced', async () => {
  await fixture.database
    .insertInto('foundations')
    .values({ project: 'us', firewall_id: '999999', inputs_hash: 'x' })
    .execute();
  const everywhere = { locations: undefined, mostServers: undefined };
  const [own, us] = [
    { ...accountOf('default', tokens.hcloudToken), ...everywhere },
    { ...accountOf('us', issued[0]!), ...everywhere },
  ];
  const connections = (projects: HetznerProject[]) => ({ hcloud: { projects } }) as unknown as Connections;
  const { database, log } = fixture;
  try {
    const foreign = await findForeign({ connections: connections([own, us]), database, log }, [own, us]);
    expect([...foreign]).toEqual([us.token]);
    const tailscale = { baseUrl: fixture.sandbox.url } as Connections['tailscale'];
    const open = () =>
      sweptClouds(
        { tailscale },
        { projects: [own, us], foreign },
      )({
        project: () => ({ begins: () => {}, answered: () => {} }),
        tailscale: { begins: () => {}, answered: () => {} },
      });
    expect([...open().projects.keys()]).toEqual(['default']);
    us.token = new Secret(issued[1]!);
    expect([...open().projects.keys()]).toEqual(['default', 'us']);
    await expect(findForeign({ connections: connections([us]), database, log }, [us])).rejects.toThrow(
      OtherProjectError,
    );
  } finally {
    await database.deleteFrom('foundations').where('project', '=', 'us').execute();
  }
});

test('a project without a token here does not keep the others from being swept', async () => {
  const orphan = await fixture.server('gone-here');
  await fixture.agent('gone-here', { status: 'destroyed' });
  const connections = {
    missingKeys: ['HCLOUD_TOKEN_US'],
    hcloud: { projects: [accountOf('default', tokens.hcloudToken), accountOf('us', '')] },
    tailscale: {
      credential: { kind: 'api-key', key: new Secret(tokens.tailscaleApiKey) },
      tailnet: '-',
      baseUrl: `${fixture.sandbox.url}/tailscale`,
      loginServer: undefined,
    },
  } as unknown as Connections;
  const { database, log } = fixture;
  const sweeping = await startCloudSweep({ connections, database, log });
  await expect.poll(async () => (await lastSweep(database))?.finishedAt).toBeInstanceOf(Date);
  await sweeping?.stop();
  expect((await fixture.left()).servers).not.toContain(orphan);
  const without = { ...connections, missingKeys: [TAILSCALE_KEY] };
  expect(await startCloudSweep({ connections: without, database, log })).toBeUndefined();
});

test('the cursor of an earlier version is that of its one project', async () => {
  await fixture.database
    .insertInto('sweeps')
    .values({ next: jsonText({ list: 'ssh-keys', page: 3, afterServerId: 7, cycle: 5 }) })
    .execute();
  expect((await lastSweep(fixture.database))?.next).toEqual({
    projects: { default: { list: 'ssh-keys', page: 3, afterServerId: 7 } },
    cycle: 5,
  });
});

test('two tokens of one project are found by what they both see', async () => {
  const project = (name: string, token: string) => ({
    ...accountOf(name, token),
    locations: undefined,
    mostServers: undefined,
  });
  const [own, us, us2] = [
    project('default', tokens.hcloudToken),
    project('us', issued[0]!),
    project('us-2', issued[1]!),
  ];
  await serverInUs('seen');
  await fixture.server('other');
  expect(await projectsProbe([own, us]).look()).toBe('each of 2 tokens is that of another project');
  await expect(projectsProbe([own, us, us2]).look()).rejects.toThrow(
    'HCLOUD_TOKEN_US and HCLOUD_TOKEN_US_2 are tokens of one Hetzner project',
  );
});
