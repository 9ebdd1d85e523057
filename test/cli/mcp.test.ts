import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import '../../src/runbooks/all.ts';
import { proposableKinds } from '../../src/operations/proposals.ts';
import { Secret } from '../../src/secret.ts';
import { compileCache } from '../support/commands.ts';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';
import { finishProvision, log, tell } from '../support/operation-progress.ts';

const VIEWER_TOKEN = 'viewer-token-for-tests';
let service: TestService;
beforeAll(async () => {
  service = await startService({ viewerToken: new Secret(VIEWER_TOKEN) });
});
afterAll(() => service.stop());

const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

/** The SDK's own client, with the server as a process of its own, as a model's host starts it. */
async function connect(token: string): Promise<Client> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: ['src/cli/agents.ts', 'mcp'],
    env: { PATH: process.env.PATH ?? '', ...compileCache, PUBLIC_URL: service.url, API_TOKEN: token },
  });
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(transport);
  clients.push(client);
  return client;
}

async function call(client: Client, name: string, input: Record<string, unknown> = {}) {
  const { content, isError } = await client.callTool({ name, arguments: input });
  const [{ text }] = content as [{ text: string }];
  return { isError: isError === true, text, value: isError ? undefined : JSON.parse(text) };
}

async function createAgent(agentId: string): Promise<{ agentId: string; operationId: string }> {
  const response = await service.ask('/api/agents', { json: { agentId, userId: 'u', region: 'eu-west' } });
  return (await response.json()) as { agentId: string; operationId: string };
}

const audit = async (agentId: string) => {
  const response = await service.ask(`/api/audit?agentId=${agentId}`);
  return ((await response.json()) as { items: { actor: string; action: string; details: object }[] }).items;
};

async function signIn(): Promise<string> {
  const response = await fetch(`${service.url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin' },
    body: new URLSearchParams({ token: API_TOKEN, next: '/' }),
  });
  return response.headers.get('set-cookie')!.split(';')[0]!;
}

const decide = (proposalId: string, verb: string, headers: Record<string, string>) =>
  fetch(`${service.url}/attention/proposals/${proposalId}/${verb}`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin', ...headers },
  });

test('a client lists, searches and reads', { timeout: 90_000 }, async () => {
  const created = await createAgent('mcp-reads');
  await tell(service.database, created.operationId, [log('hello from the machine')]);
  await finishProvision(service.database, created);
  const client = await connect(API_TOKEN);
  const listed = await call(client, 'list_agents', { status: 'running' });
  expect(listed.value.items).toContainEqual(expect.objectContaining({ agentId: 'mcp-reads' }));
  const found = await call(client, 'search_agents', { text: 'mcp-rea' });
  expect(found.value.items).toHaveLength(1);
  expect((await call(client, 'read_agent', { agentId: 'mcp-reads' })).value).toMatchObject({
    status: 'running',
  });
  const timeline = await call(client, 'read_timeline', { agentId: 'mcp-reads' });
  expect(timeline.value.items[0]).toMatchObject({ kind: 'provision', timeline: expect.any(Array) });
  const { operationId } = created;
  expect((await call(client, 'read_log', { operationId })).text).toContain('hello from the machine');
  expect((await call(client, 'read_log', { operationId, lines: 1 })).value).toHaveLength(1);
  expect((await call(client, 'list_attention')).value).toMatchObject({ nextCursor: null });
  expect((await call(client, 'show_pool')).value).toMatchObject({ hits: 0 });
  expect((await call(client, 'show_figures')).value.fleet).toMatchObject({ running: expect.any(Number) });
  const refused = await call(client, 'read_agent', { agentId: 'no-such' });
  expect(refused).toMatchObject({
    isError: true,
    text: expect.stringContaining('There is no agent no-such'),
  });
});

test('what loses nothing is done, and the audit log names the program', { timeout: 90_000 }, async () => {
  const created = await createAgent('mcp-acts');
  await finishProvision(service.database, created);
  const client = await connect(API_TOKEN);
  const restarted = await call(client, 'restart_agent', { agentId: 'mcp-acts' });
  expect(restarted.value).toMatchObject({ kind: 'restart', status: 'queued' });
  expect(await audit('mcp-acts')).toContainEqual(
    expect.objectContaining({ actor: 'operator via mcp', action: 'agent.restart' }),
  );
});

test('what loses something is proposed, and happens once a person approves it', {
  timeout: 90_000,
}, async () => {
  const created = await createAgent('mcp-proposes');
  await finishProvision(service.database, created);
  const client = await connect(API_TOKEN);
  const names = (await client.listTools()).tools.map(({ name }) => name);
  for (const kind of ['destroy', 'rebuild', 'hibernate', 'stop', 'hold', 'resize'])
    expect(names).not.toContain(`${kind}_agent`);
  const tool = (await client.listTools()).tools.find(({ name }) => name === 'propose')!;
  // A revert takes a snapshot, and a proposal has no parameters: the service takes none.
  expect(tool.inputSchema.properties).toMatchObject({ kind: { enum: proposableKinds() } });
  const reason = 'it mines <coins>';
  const proposed = await call(client, 'propose', { agentId: 'mcp-proposes', kind: 'destroy', reason });
  const { proposalId } = proposed.value;
  expect(proposed.value).toMatchObject({ status: 'open', proposedBy: 'operator via mcp', operationId: null });
  const status = async () => (await call(client, 'read_agent', { agentId: 'mcp-proposes' })).value.status;
  expect(await status()).toBe('running');
  const again = await call(client, 'propose', { agentId: 'mcp-proposes', kind: 'destroy', reason });
  expect(again).toMatchObject({ isError: true, text: expect.stringContaining('proposed already') });

  const cookie = await signIn();
  const page = await (await fetch(`${service.url}/attention`, { headers: { cookie } })).text();
  expect(page).toContain(`action="/attention/proposals/${proposalId}/approve"`);
  expect(page).toContain('it mines &lt;coins&gt;');
  expect(page).toMatch(/<th scope="row">Proposal <a class="below" href="\/agents\/mcp-proposes">/);
  expect((await call(client, 'list_attention')).value.items).toEqual([]);

  // The token alone, which the program has as well, approves nothing.
  const alone = await decide(proposalId, 'approve', { authorization: `Bearer ${API_TOKEN}` });
  expect(alone.status).toBe(403);
  expect(await status()).toBe('running');
  expect((await decide(proposalId, 'approve', { cookie })).status).toBe(303);
  expect(await status()).toBe('destroying');
  expect(await audit('mcp-proposes')).toContainEqual(
    expect.objectContaining({
      actor: 'operator',
      action: 'agent.destroy',
      details: { proposedBy: 'operator via mcp' },
    }),
  );
  expect((await decide(proposalId, 'reject', { cookie })).status).toBe(409);
  const decided = (await call(client, 'list_proposals')).value.items[0];
  expect(decided).toMatchObject({ proposalId, status: 'approved', decidedBy: 'operator' });
});

test('a viewer reads, and has no tool that acts or proposes', { timeout: 90_000 }, async () => {
  const created = await createAgent('mcp-viewer');
  await finishProvision(service.database, created);
  const client = await connect(VIEWER_TOKEN);
  const { tools } = await client.listTools();
  expect(tools.length).toBeGreaterThan(5);
  expect(tools.filter(({ annotations }) => annotations?.readOnlyHint !== true)).toEqual([]);
  expect((await call(client, 'read_agent', { agentId: 'mcp-viewer' })).value).toMatchObject({
    status: 'running',
  });
  const unknown = await call(client, 'restart_agent', { agentId: 'mcp-viewer' }).catch(() => ({
    isError: true,
  }));
  expect(unknown.isError).toBe(true);
});

test('the service itself refuses a viewer, and a program, on every route that changes something', async () => {
  const document = (await (await service.ask('/openapi.json')).json()) as {
    paths: Record<
      string,
      Record<string, { security?: object[]; operationId: string; 'x-least-role'?: string }>
    >;
  };
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      // A viewer may end what is their own.
      .filter(([method, route]) => method !== 'get' && route.security !== undefined)
      .filter(([, route]) => route['x-least-role'] !== 'viewer')
      .map(([method, { operationId }]) => ({ method: method.toUpperCase(), path, operationId })),
  );
  expect(routes.length).toBeGreaterThan(15);
  const ask = (path: string, method: string, headers: Record<string, string>) =>
    service.ask(path.replace('{agentId}', 'none').replace(/\{\w+\}/, 'creates'), {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: '{}',
    });
  const problem = async (response: Response) => ((await response.json()) as { type: string }).type;
  const open: string[] = [];
  for (const { method, path, operationId } of routes) {
    const viewer = await ask(path, method, { authorization: `Bearer ${VIEWER_TOKEN}` });
    expect([operationId, viewer.status]).toEqual([operationId, 403]);
    expect(await problem(viewer)).toBe('/problems/role-not-allowed');
    const program = await ask(path, method, { authorization: `Bearer ${API_TOKEN}`, 'agents-via': 'mcp' });
    if (program.status !== 403) open.push(operationId);
    else expect(await problem(program)).toBe('/problems/approval-required');
  }
  expect(open.sort()).toEqual([
    'createProposal',
    'reconfigureAgent',
    'refreshAgent',
    'restartAgent',
    'retryOperation',
    'startAgent',
    'wakeAgent',
  ]);
  const odd = await ask('/api/agents', 'POST', { authorization: `Bearer ${API_TOKEN}`, 'agents-via': 'A b' });
  expect(odd.status).toBe(400);
});
