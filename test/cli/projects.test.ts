import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { UsageError } from '../../src/cli/connection.ts';
import { prepareStack } from '../../src/cli/prepare-stack.ts';
import { readArguments } from '../../src/cli/pulumi-arguments.ts';
import { ConfigError } from '../../src/config/config-error.ts';
import type { Connections } from '../../src/connections/connections.ts';
import { applyProjects } from '../../src/projects/projects.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { createTestTerminal, runCommand } from '../support/run-command.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ playbookVersion: '0123456789abcdef' });
  await applyProjects(service.database, [
    { name: 'eu', locations: ['nbg1', 'fsn1'], mostServers: 2 },
    { name: 'us', locations: ['ash'], mostServers: undefined },
  ]);
});
afterAll(() => service.stop());

let printed: string[];
beforeEach(() => {
  printed = [];
});
const agents = (...argv: string[]) =>
  runCommand(createTestTerminal(service.url, { print: (line) => printed.push(line) }).terminal, argv);
const create = (region: string) => service.ask('/api/agents', { json: { userId: 'u1', region } });

test('projects are listed, drained and opened again; the API, the page, the metrics and the audit log say so', async () => {
  expect((await create('eu-central')).status).toBe(202);
  await agents('projects', 'list');
  expect(printed.join('\n')).toMatch(/^eu +open +nbg1 fsn1 +1 +0 +0 +0 +0 +1 of 2$/m);
  expect(printed.join('\n')).toMatch(/^us +open +ash +0 +0 +0 +0 +0 +0$/m);
  await agents('projects', 'drain', 'eu');
  expect(printed.at(-1)).toBe(
    'eu is being drained: nothing new comes into it. 1 agents live on in it, 0 waiting servers are removed.',
  );
  const refused = await create('eu-central');
  expect([refused.status, await refused.json()]).toMatchObject([
    409,
    { detail: 'No Hetzner project takes a new agent in nbg1: eu is drained' },
  ]);
  printed = [];
  await agents('projects', 'list', '--json');
  expect(JSON.parse(printed.join('\n'))).toMatchObject([
    { name: 'eu', drainedBy: 'operator', agents: 1 },
    { name: 'us', drainingSince: null },
  ]);
  expect(await (await service.ask('/doctor')).text()).toMatch(/Hetzner projects.*Drained by operator/s);
  expect(await (await service.ask('/metrics')).text()).toMatch(
    /agent_stacks_project_draining\{project="eu"\} 1/,
  );
  await agents('projects', 'undrain', 'eu');
  expect(printed.at(-1)).toBe('eu takes new agents again.');
  await agents('projects', 'undrain', 'eu');
  expect((await create('eu-central')).status).toBe(202);
  const full = (await (await create('eu-central')).json()) as { detail: string };
  expect(full.detail).toContain('eu has the 2 servers that it may have');
  const audited = await service.database
    .selectFrom('audit_log')
    .select(['action', 'details'])
    .where('action', 'like', 'project.%')
    .orderBy('at')
    .execute();
  const details = { project: 'eu' };
  expect(audited).toEqual([
    { action: 'project.drain', details },
    { action: 'project.undrain', details },
  ]);
});

test('what is asked for wrongly is refused', async () => {
  await expect(agents('projects', 'drain')).rejects.toBeInstanceOf(UsageError);
  await expect(agents('projects', 'list', 'eu')).rejects.toBeInstanceOf(UsageError);
  await expect(agents('projects', 'drain', 'mars')).rejects.toThrow('There is no Hetzner project mars');
  // Neither is one that is configured no more, once it is empty.
  await service.database.insertInto('hetzner_projects').values({ name: 'gone' }).execute();
  await expect(agents('projects', 'drain', 'gone')).rejects.toThrow('There is no Hetzner project gone');
  const gone = service.database.selectFrom('hetzner_projects').selectAll().where('name', '=', 'gone');
  expect(await gone.executeTakeFirst()).toMatchObject({ draining_since: null });
});

test('an image is built in the project whose servers are made from it', async () => {
  await agents('image', 'build', '--project', 'us', '--location', 'us-east', '--json');
  expect(JSON.parse(printed.join('\n'))).toMatchObject({ project: 'us', location: 'ash' });
  await expect(agents('image', 'build', '--project', 'us')).rejects.toThrow(
    'The Hetzner project us is unknown, or takes no servers in nbg1',
  );
});

test('the plain Pulumi CLI gets the token of the project in which a stack’s server is, or none', async () => {
  const slotId = 'slot-0123456789abcdef01234567';
  await service.database
    .insertInto('slots')
    .values({ slot_id: slotId, project: 'us', location: 'ash', plan: 'starter', fingerprint: 'f' })
    .execute();
  const connections = {
    hcloud: { projects: [{ name: 'eu' }, { name: 'us' }] },
    pulumi: {},
  } as unknown as Connections;
  const prepare = (...argv: string[]) => prepareStack(service.database, connections, readArguments(argv));
  expect(await prepare('destroy', '--stack', `agent-${slotId}`)).toEqual({ project: 'us' });
  // An agent that has moved on has no inputs yet.
  const { agent_id: agentId } = await service.database
    .selectFrom('agents')
    .select('agent_id')
    .limit(1)
    .executeTakeFirstOrThrow();
  expect(await prepare('refresh', '--stack', `agent-${agentId}`)).toEqual({ project: 'eu' });
  expect(await prepare('up', '--stack', 'foundation-us')).toMatchObject({ project: 'us' });
  await expect(prepare('refresh', '--stack', 'agent-nobody')).rejects.toThrow(ConfigError);
  await expect(prepare('destroy')).rejects.toThrow('name the stack');
  expect(await prepare('stack', 'output', '--stack', 'agent-nobody')).toBeUndefined();
});
