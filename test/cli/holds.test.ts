import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseCommand } from '../../src/cli/parse.ts';
import { claimNext } from '../../src/operations/claims.ts';
import { succeed } from '../../src/operations/settle.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';
import { createTestTerminal, runCommand, understand } from '../support/run-command.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService({ clock: { now: () => new Date('2027-01-31T10:00:00.000Z') } });
});
afterAll(() => service.stop());

let agentId: string;
let printed: string[];
beforeEach(async () => {
  printed = [];
  const response = await service.ask('/api/agents', { json: { userId: 'u', region: 'eu-west' } });
  const created = (await response.json()) as { agentId: string; operationId: string };
  agentId = created.agentId;
  await finishProvision(service.database, created);
});

const agents = (...argv: string[]) =>
  runCommand(createTestTerminal(service.url, { print: (line) => printed.push(line) }).terminal, argv);

async function finish(kind: string): Promise<void> {
  const row = await claimNext(service.database, 'w1');
  const mine = { operationId: row!.operation_id, attempt: row!.attempt, workerId: 'w1' };
  await succeed(service.deps, mine, { kind });
}

test('hold says which operation it leads to, or that nothing has to be done', async () => {
  expect(await agents('hold', agentId, '--reason', 'abuse', '--note', 'mines coins')).toBe(true);
  expect(printed.pop()).toMatch(new RegExp(`^suspend of agent ${agentId}: queued \\(operation .+\\)$`));
  await finish('suspended');
  expect(await agents('hold', agentId, '--reason', 'abuse')).toBe(true);
  expect(printed.pop()).toBe(
    `Agent ${agentId} is suspended, holds: abuse since 2027-01-31T10:00:00 by operator: mines coins. Nothing has to be done now.`,
  );
  await agents('show', agentId);
  expect(printed.join('\n')).toMatch(/holds +abuse since 2027-01-31T10:00:00 by operator: mines coins/);
});

test('release --wait follows the resume to its end', async () => {
  await agents('hold', agentId, '--reason', 'operator');
  await finish('suspended');
  const released = agents('release', agentId, '--reason', 'operator', '--wait');
  await expect.poll(() => printed.join('\n')).toContain(`resume of agent ${agentId}, operation`);
  await finish('resumed');
  expect(await released).toBe(true);
  expect(printed.join('\n')).toContain('resume succeeded');
  expect(await agents('release', agentId, '--reason', 'operator', '--json')).toBe(true);
  expect(JSON.parse(printed.pop()!)).toMatchObject({ agentId, holds: [], status: 'running' });
});

test('protect and unprotect', async () => {
  expect(await agents('protect', agentId)).toBe(true);
  expect(printed.pop()).toBe(`Agent ${agentId} is protected: nobody can destroy it.`);
  await expect(agents('destroy', agentId, '--yes')).rejects.toThrow('is protected');
  expect(await agents('unprotect', agentId, '--json')).toBe(true);
  expect(JSON.parse(printed.pop()!)).toMatchObject({ agentId, protected: false });
});

test('the reason is checked before anything is asked', async () => {
  await expect(understand('hold', 'a1')).rejects.toThrow('Missing option --reason');
  await expect(understand('hold', 'a1', '--reason', 'payment')).rejects.toThrow('abuse and operator');
  await expect(understand('release', '--reason', 'abuse')).rejects.toThrow('needs an agent id.');
  const { text } = (await parseCommand(['help'])) as { text: string };
  for (const command of ['hold', 'release', 'protect', 'unprotect'])
    expect(text).toContain(`\n  ${command} `);
});
