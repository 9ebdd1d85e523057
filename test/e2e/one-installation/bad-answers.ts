import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { clearFaults, failOrders, getHoldings } from '../../support/clouds.ts';
import { eventually } from '../../support/eventually.ts';
import type { Installation } from '../../support/installation.ts';

let installation: Installation;

/** Makes Hetzner answer orders of a server this way, `times` with each status in turn. */
async function provisionUnder(
  statuses: readonly number[],
  times: number,
): Promise<{ agentId: string; operationId: string }> {
  await failOrders(
    installation.connection,
    statuses.map((status) => ({ status, times })),
  );
  const agentId = `answered-${statuses.join('-')}-${times}`;
  const created = await installation.ask('/api/agents', {
    json: { agentId, userId: 'user-1', region: 'eu-central' },
  });
  expect(created.status).toBe(202);
  return { agentId, operationId: created.body.operationId };
}

const ALWAYS = 1_000;

export function testBadAnswers(get: () => Installation): void {
  beforeAll(() => {
    installation = get();
  });
  afterEach(() => clearFaults(installation.connection));

  describe('Hetzner answers every order of a server with', () => {
    it.each([
      // A wrong token needs a person; a limit may be free again once another agent is deleted.
      [401, /unauthorized/, 1],
      [403, /resource_limit_exceeded/, 3],
    ])(
      '%i: it fails for good, reports why everywhere, and leaves nothing billed',
      async (status, why, tries) => {
        const { agentId, operationId } = await provisionUnder([status], ALWAYS);
        const agent = await installation.untilAgent(agentId, 'failed', 90);
        const { body: operation } = await installation.ask(`/api/operations/${operationId}`);
        console.log(`${status}: ${operation.error}`);
        expect(operation).toMatchObject({
          status: 'failed',
          error: expect.stringMatching(why),
          failedStep: 'creating_server',
          attempt: tries,
          retryCount: tries,
        });
        expect(agent).toMatchObject({ error: operation.error, serverId: null });
        // The row shows what ended an attempt a moment before the log does.
        const inTheLog = Array.from({ length: tries }, () => expect.stringMatching(why));
        await expect.poll(() => loggedErrors(operationId), { timeout: 20_000 }).toEqual(inTheLog);
        const [row] = await installation.query('select status, error from provisioning_jobs where id = $1', [
          operationId,
        ]);
        expect(row).toEqual({ status: 'failed', error: operation.error });
        await rolledBack(agentId);
        const nothing = { servers: [], sshKeys: [], tailnetKeys: [], devices: [] };
        expect(await getHoldings(installation.connection, agentId)).toEqual(nothing);
      },
      150_000,
    );
  });

  it('answers of Hetzner’s that pass: the order is tried again, and ends with one server', async () => {
    // The provider repeats a call after the first two; a server that is sold out is waited for.
    const { agentId, operationId } = await provisionUnder([409, 429, 412, 500], 1);
    await installation.untilAgent(agentId, 'running', 120);
    const { body: operation } = await installation.ask(`/api/operations/${operationId}`);
    const errors = [expect.stringContaining('is sold out'), expect.stringContaining('server_error')];
    await expect.poll(() => loggedErrors(operationId), { timeout: 20_000 }).toEqual(errors);
    console.log(`attempts ${operation.attempt}, in the log ${JSON.stringify(loggedErrors(operationId))}`);
    // Only the last one is a failed try.
    expect(operation).toMatchObject({
      ...{ status: 'succeeded', attempt: 3, retryCount: 1, error: null, failedStep: null },
    });
    const name = `agent-${agentId}`;
    expect(await getHoldings(installation.connection, agentId)).toMatchObject({
      servers: [name],
      sshKeys: [name],
      devices: [name],
    });
  }, 150_000);

  it('after a failure for good, can be provisioned again', async () => {
    const agentId = `answered-401-${ALWAYS}`;
    const { body } = await installation.ask(`/api/agents/${agentId}/operations`);
    const provision = body.items.find(({ kind }: { kind: string }) => kind === 'provision');
    const answer = await installation.ask(`/api/operations/${provision.operationId}/retry`, {
      method: 'POST',
    });
    expect(answer.status).toBe(202);
    await eventually(
      'it runs',
      async () => (await installation.ask(`/api/agents/${agentId}`)).body.status === 'running',
      { withinSeconds: 60, describe: installation.terminal },
    );
    expect((await getHoldings(installation.connection, agentId)).servers).toEqual([`agent-${agentId}`]);
  }, 120_000);
}

/** Returns the errors that ended the tries of an operation, from the log. */
function loggedErrors(operationId: string): string[] {
  return readFileSync(join(installation.site.dataDir, 'logs', 'service.log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string>)
    .filter((line) => line.event === 'attempt.ended' && line.operationId === operationId)
    .flatMap(({ error }) => error ?? []);
}

async function rolledBack(agentId: string): Promise<void> {
  await eventually(
    `${agentId} is rolled back`,
    async () => {
      const { body } = await installation.ask(`/api/agents/${agentId}/operations`);
      return body.items.some(
        ({ kind, status }: Record<string, string>) => kind === 'rollback' && status === 'succeeded',
      );
    },
    { withinSeconds: 60 },
  );
}
