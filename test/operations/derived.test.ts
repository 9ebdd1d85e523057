import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { noEffect } from '../../src/operations/effects.ts';
import { defineOperation, findOperation } from '../../src/operations/registry.ts';

/** Two kinds that no file defines. Modules that list kinds load after them, as they do after runbooks/. */
const definition = {
  limitSeconds: 60,
  effect: noEffect,
  succeed: async () => {},
  reported: () => ({ kind: 'none' as const }),
  run: () => async () => ({ kind: 'none' as const }),
};
defineOperation({ ...definition, kind: 'look', rank: 41, from: ['running'], cli: 'look at it' });
defineOperation({
  ...definition,
  kind: 'paint',
  rank: 42,
  from: ['running'],
  parameters: z.object({ colour: z.enum(['red', 'blue']) }),
  cli: 'give it a colour',
  summary: 'Ask for another colour',
  isOnList: true,
  confirm: {
    loses: 'and lose its old colour',
    explain: (agentId) => `The old colour of ${agentId} is lost.`,
  },
});

// What the commands know of them is generated.
vi.mock('../../src/cli/operation-kinds.ts', async () => {
  const { listOperationKinds } = await import('../../tools/operation-kinds.ts');
  return listOperationKinds();
});

const { startService } = await import('../support/http-service.ts');
const { finishProvision } = await import('../support/operation-progress.ts');
const { parseCommand } = await import('../../src/cli/parse.ts');
const { createTestTerminal, runCommand, understand } = await import('../support/run-command.ts');

let service: Awaited<ReturnType<typeof startService>>;
let agentId: string;
beforeAll(async () => {
  service = await startService();
  const response = await service.ask('/api/agents', { json: { userId: 'u', region: 'eu-west' } });
  const created = (await response.json()) as { agentId: string; operationId: string };
  agentId = created.agentId;
  await finishProvision(service.database, created);
});
afterAll(() => service.stop());

interface Document {
  paths: Record<string, { post: { summary: string; requestBody: { required: boolean } } }>;
  components: { schemas: { Operation: { properties: { kind: { enum: string[] } } } } };
}

test('the kinds of runbooks/ are loaded too', () => {
  expect(findOperation('provision')).toBeDefined();
});

test('the API document has a route for each, with its body and its kind', async () => {
  const document = (await (await service.ask('/openapi.json')).json()) as Document;
  const look = document.paths['/api/agents/{agentId}/look']!.post;
  const paint = document.paths['/api/agents/{agentId}/paint']!.post;
  expect(look).toMatchObject({ summary: 'Ask for a look', requestBody: { required: false } });
  expect(paint).toMatchObject({ summary: 'Ask for another colour', requestBody: { required: true } });
  const kinds = document.components.schemas.Operation.properties.kind.enum;
  expect(kinds.slice(kinds.indexOf('look'))).toEqual(expect.arrayContaining(['look', 'paint', 'resize']));
  expect(Object.keys(document.components.schemas)).toContain('Paint');
});

test('the API refuses bodies that do not match the parameters’ schema', async () => {
  const paint = (json: unknown) => service.ask(`/api/agents/${agentId}/paint`, { json });
  expect((await paint({ colour: 'green' })).status).toBe(400);
  expect((await paint({ colour: 'red', size: 1 })).status).toBe(400);
  expect((await paint({})).status).toBe(400);
  expect((await service.ask(`/api/agents/${agentId}/provision`, { json: {} })).status).toBe(404);
});

test('the dashboard has their buttons, and a page for those with parameters', async () => {
  const page = await (await service.ask(`/agents/${agentId}`)).text();
  expect(page).toMatch(new RegExp(`<form method="post" action="/agents/${agentId}/look"><button`));
  expect(page).toMatch(new RegExp(`<a class="button danger" id="paint-${agentId}"`));
  const list = await (await service.ask('/')).text();
  expect(list).toContain(`paint-${agentId}`);
  expect(list).not.toContain(`look-${agentId}`);
  expect((await service.ask(`/agents/${agentId}/look`)).status).toBe(404);
  const question = await (await service.ask(`/agents/${agentId}/paint`)).text();
  expect(question).toContain(`The old colour of ${agentId} is lost.`);
  expect(question).toContain('<select name="colour"><option>red</option><option>blue</option></select>');
});

test('the CLI’s help lists them, and the CLI requests them', async () => {
  const help = async (...argv: string[]) => ((await parseCommand(argv)) as { text: string }).text;
  expect(await help('help')).toMatch(/^ {2}look +look at it$/m);
  expect(await help('paint', '--help')).toContain('--colour COLOUR');
  expect(await help('paint', '--help')).toContain('agents paint ada --colour blue --yes --wait');
  await expect(understand('paint', agentId)).rejects.toThrow('Missing option --colour');
  await expect(understand('paint', agentId, '--colour', 'blu')).rejects.toThrow('Did you mean blue?');
  const questions: string[] = [];
  const { terminal, printed } = createTestTerminal(service.url, {
    confirm: async (question) => {
      questions.push(question);
      return true;
    },
  });
  expect(await runCommand(terminal, ['paint', agentId, '--colour', 'blue'])).toBe(true);
  expect(questions).toEqual([`Paint agent ${agentId} (running) and lose its old colour?`]);
  expect(printed.join()).toContain(`paint of agent ${agentId}: queued`);
  const row = await service.database
    .selectFrom('operations')
    .select('parameters')
    .where('kind', '=', 'paint')
    .executeTakeFirstOrThrow();
  expect(row.parameters).toEqual({ colour: 'blue' });
});
