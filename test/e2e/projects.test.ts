import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { startCloudProxy } from '../support/cloud-proxy.ts';
import { eventually } from '../support/eventually.ts';
import { type Installation, makeSite, type Site, startInstallation } from '../support/installation.ts';
import { CALLBACK_SECRET, projectWorkflow } from '../support/project-workflow.ts';
import { makeRehearsal, type Rehearsal, type RunningRehearsal } from '../support/rehearsal.ts';
import { act, githubToken, noAct, startGithub } from '../support/sandbox-github.ts';
import { paidCheckout } from '../support/stripe-events.ts';

const PROJECTS = ['eu-1', 'eu-2', 'us'] as const;
type Project = (typeof PROJECTS)[number];
/** As many servers as Hetzner allows in each project. */
const MOST = 2;

let site: Site;
let sandbox: Installation;
let rehearsal: Rehearsal;
let running: RunningRehearsal;
const tokens = {} as Record<Project, string>;

beforeAll(async () => {
  site = await makeSite({ EXECUTOR: '', SANDBOX_MAX_SERVERS: String(MOST) });
  // Without a worker: the clouds are for the rehearsal.
  sandbox = await startInstallation(site, { args: ['--role', 'api'] });
  for (const project of PROJECTS) tokens[project] = await issue(project);
  rehearsal = await makeRehearsal(sandbox);
  running = await rehearsal.start(projectVariables());
}, 240_000);
afterAll(async () => {
  await running?.stop();
  await rehearsal?.remove();
  await sandbox?.stop();
  await site?.remove();
}, 120_000);

const projectVariables = () => ({
  HCLOUD_TOKEN: '',
  HCLOUD_PROJECTS: 'eu-1=eu, eu-2=eu, us=us',
  HCLOUD_TOKEN_EU_1: tokens['eu-1'],
  HCLOUD_TOKEN_EU_2: tokens['eu-2'],
  HCLOUD_TOKEN_US: tokens.us,
});

async function issue(project: Project): Promise<string> {
  const answer = await fetch(new URL('/sandbox/credentials', sandbox.connection.hcloudEndpoint), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ vendor: 'hetzner', permission: 'write', project }),
  });
  return ((await answer.json()) as { token: string }).token;
}

async function hetzner(project: Project, path: string, init: RequestInit = {}) {
  const answer = await fetch(`${sandbox.connection.hcloudEndpoint}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${tokens[project]}`, 'content-type': 'application/json' },
  });
  // biome-ignore lint/suspicious/noExplicitAny: judged by the expectations.
  return (await answer.json()) as any;
}

const ownersIn = async (project: Project, kind: 'servers' | 'ssh_keys' = 'servers'): Promise<string[]> =>
  (await hetzner(project, `/${kind}?label_selector=managed-by%3D%3Dagents`))[kind].map(
    ({ labels }: { labels: Record<string, string> }) => labels['agent-id'],
  );
const succeed = async (agentId: string) =>
  running.untilOperation(agentId, ({ status }) => status === 'succeeded' || status === 'failed', 90);
const agent = async (agentId: string) => (await running.ask(`/api/agents/${agentId}`)).body;
const post = (path: string, body?: object) =>
  running.ask(path, {
    method: 'POST',
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });

it('places agents by where they are, each with a stack, a firewall and a server in its project', async () => {
  for (const [agentId, region] of [
    ['first', 'eu-central'],
    ['second', 'eu-west'],
    ['third', 'us-east'],
  ] as const)
    await running.deliver(paidCheckout({ agentId, userId: 'user-1', region }));
  for (const [agentId, project] of [
    ['first', 'eu-1'],
    ['second', 'eu-2'],
    ['third', 'us'],
  ] as const) {
    expect(await succeed(agentId)).toMatchObject({ status: 'succeeded' });
    expect(await agent(agentId)).toMatchObject({ project, status: 'running', health: 'healthy' });
    expect(await ownersIn(project)).toEqual([agentId]);
    const { firewalls } = await hetzner(project, '/firewalls');
    expect(firewalls.map(({ name }: { name: string }) => name)).toEqual([`agents-${project}`]);
  }
  const refused = await post('/api/agents', { userId: 'user-1', region: 'ap-southeast' });
  expect(refused).toMatchObject({ status: 409, body: { detail: 'No Hetzner project is for agents in sin' } });
  expect(
    (await running.ask('/readyz?verbose')).body.checks.map(({ name }: { name: string }) => name),
  ).toEqual(expect.arrayContaining(PROJECTS.map((project) => `hetzner:${project}`)));
}, 200_000);

it('moves an agent whose project turns out to be full, and leaves nothing behind there', async () => {
  // The project's limit is reached by what the service does not know.
  const order = { server_type: 'cx23', image: 'debian-12', location: 'nbg1', start_after_create: false };
  const { server } = await hetzner('eu-1', '/servers', {
    method: 'POST',
    body: JSON.stringify({ ...order, name: 'foreign' }),
  });
  await post('/api/agents', { agentId: 'fourth', userId: 'user-1', region: 'eu-central' });
  const operation = await succeed('fourth');
  expect(operation).toMatchObject({ status: 'succeeded', retryCount: 0 });
  expect(operation.attempt).toBeGreaterThan(1);
  expect(await agent('fourth')).toMatchObject({ project: 'eu-2', status: 'running' });
  expect((await ownersIn('eu-2')).sort()).toEqual(['fourth', 'second']);
  expect([await ownersIn('eu-1'), await ownersIn('eu-1', 'ssh_keys')]).toEqual([['first'], ['first']]);
  const { items } = (await running.ask('/api/audit?agentId=fourth')).body;
  expect(items.map(({ action }: { action: string }) => action)).toContain('agent.move-project');
  const projects = (await running.ask('/api/projects')).body.items;
  expect(projects[0]).toMatchObject({ name: 'eu-1', agents: 1, fullUntil: expect.any(String) });
  await hetzner('eu-1', `/servers/${server.id}`, { method: 'DELETE' });
}, 200_000);

it('drains a project: nothing new comes into it, and what is there can still be changed and destroyed', async () => {
  expect(await post('/api/projects/us/drain')).toMatchObject({
    status: 200,
    body: { name: 'us', drainingSince: expect.any(String), drainedBy: 'operator', agents: 1 },
  });
  const refused = await post('/api/agents', { userId: 'user-1', region: 'us-west' });
  expect(refused.body.detail).toBe('No Hetzner project takes a new agent in hil: us is drained');
  await running.deliver(paidCheckout({ agentId: 'late', userId: 'user-1', region: 'us-west' }));
  await eventually(
    'the order needs attention',
    async () => {
      const { items } = (await running.ask('/api/orders?attention=true')).body;
      return items.some(({ attention }: { attention: string }) => attention?.includes('us is drained'));
    },
    { withinSeconds: 20 },
  );
  for (const verb of ['restart', 'destroy']) {
    expect((await post(`/api/agents/third/${verb}`)).status).toBe(202);
    expect(await succeed('third')).toMatchObject({ kind: verb, status: 'succeeded' });
  }
  expect([await ownersIn('us'), await ownersIn('us', 'ssh_keys')]).toEqual([[], []]);
  expect((await post('/api/projects/us/undrain')).body.drainingSince).toBeNull();
  const { items } = (await running.ask('/api/audit')).body;
  expect(items.map(({ action }: { action: string }) => action)).toEqual(
    expect.arrayContaining(['project.drain', 'project.undrain']),
  );
}, 200_000);

it('calls only the agent’s project from a workflow that has the tokens of several', async ({ skip }) => {
  skip(act === undefined, noAct);
  await running.stop();
  const { hcloudEndpoint } = sandbox.connection;
  const proxy = await startCloudProxy(new URL(hcloudEndpoint).origin);
  onTestFinished(proxy.close);
  const options = await projectWorkflow(sandbox, rehearsal, {
    tokens: { HCLOUD_TOKEN_EU_2: tokens['eu-2'], HCLOUD_TOKEN_US: tokens.us },
    hcloudEndpoint: `${proxy.url}${new URL(hcloudEndpoint).pathname}`,
  });
  const github = await startGithub({ options });
  running = await rehearsal.start({
    ...projectVariables(),
    EXECUTOR: 'github-actions',
    GITHUB_API_URL: github.url,
    GITHUB_OWNER: 'sandbox',
    GITHUB_REPO: 'agent-stacks',
    GITHUB_PAT: githubToken,
    GITHUB_CALLBACK_SECRET: CALLBACK_SECRET,
  });
  options.variables.CALLBACK_ORIGIN = running.url;
  await post('/api/agents', { agentId: 'fifth', userId: 'user-1', region: 'us-east' });
  const operation = await running.untilOperation(
    'fifth',
    ({ status }) => status === 'succeeded' || status === 'failed',
    150,
  );
  expect(operation).toMatchObject({ executor: 'github-actions', status: 'succeeded', attempt: 1 });
  expect(await agent('fifth')).toMatchObject({ project: 'us', status: 'running' });
  expect(await ownersIn('us')).toEqual(['fifth']);
  expect([...proxy.tokens]).toEqual([tokens.us]);
}, 300_000);

it('does not start without the token of a project that has agents', async () => {
  await running.stop();
  const { code, said } = await rehearsal.startRefused({
    HCLOUD_TOKEN: '',
    HCLOUD_PROJECTS: 'eu-1=eu',
    HCLOUD_TOKEN_EU_1: tokens['eu-1'],
  });
  expect(said).toContain('2 agents are in the Hetzner project eu-2, which HCLOUD_PROJECTS does not name');
  expect(code).toBe(1);
}, 120_000);
