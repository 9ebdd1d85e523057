import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseCommand } from '../../src/cli/parse.ts';
import { claimNext } from '../../src/operations/claims.ts';
import { queueByService } from '../../src/operations/consequences.ts';
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

test('abandon gives up what is left on a server that is given back, after a confirmation', async () => {
  await expect(agents('abandon', agentId)).rejects.toThrow('needs --yes');
  await expect(agents('abandon', agentId, '--yes')).rejects.toThrow('is adopting no server');
  const adopting = {
    serverId: '1',
    ipv4: '192.0.2.1',
    hostPublicKey: `ssh-ed25519 ${'A'.repeat(68)}`,
    before: { name: 'web1', labels: {} },
  };
  await sql`update agents set inputs = jsonb_build_object('adopting', ${JSON.stringify(adopting)}::jsonb), secrets = 'x'
    where agent_id = ${agentId}`.execute(service.database);
  await expect(agents('abandon', agentId, '--yes')).rejects.toThrow(
    'cancel the adoption, or destroy the agent',
  );
  await sql`update agents set status = 'failed', error = 'no' where agent_id = ${agentId}`.execute(
    service.database,
  );
  expect(await agents('abandon', agentId, '--yes')).toBe(true);
  expect(printed.pop()).toMatch(/under way; the next one gives up/);
  const { queue } = service.deps;
  await service.database
    .transaction()
    .execute((trx) =>
      queueByService({ trx, queue, agentId }, 'rollback', { cause: 'test', delaySeconds: 600 }),
    );
  expect(await agents('abandon', agentId, '--yes')).toBe(true);
  expect(printed.pop()).toMatch(new RegExp(`^rollback of agent ${agentId}: queued`));
  const { rows } =
    await sql`select a.inputs->'adopting'->>'isAbandoned' as abandoned, o.run_after <= now() as due
    from agents a join operations o using (agent_id) where agent_id = ${agentId} and o.kind = 'rollback'`.execute(
      service.database,
    );
  expect(rows).toEqual([{ abandoned: 'true', due: true }]);
});
