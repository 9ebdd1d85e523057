import { beforeAll, expect, test } from 'vitest';
import { type ApiClient, answer, createApiClient, type Schema } from '../../../client/client.ts';
import type { Installation } from '../../support/installation.ts';

/** The whole life of an agent by the generated client alone; the compiler checks every call of it. */
const agentId = 'client-life';
const path = { agentId };
let api: ApiClient;
let url: string;

const agent = () => answer(api.GET('/api/agents/{agentId}', { params: { path } }));

async function finished({ operationId }: Schema<'Operation'>): Promise<Schema<'Operation'>> {
  const read = () => answer(api.GET('/api/operations/{operationId}', { params: { path: { operationId } } }));
  await expect.poll(async () => (await read()).status, { timeout: 90_000, interval: 300 }).toBe('succeeded');
  return read();
}

export function testClientLife(get: () => Installation): void {
  beforeAll(() => {
    const { connection } = get();
    url = connection.url;
    api = createApiClient({ url, token: connection.apiToken });
  });

  test('create, running, stop, start, destroy, receipt', { timeout: 300_000 }, async () => {
    const body = { agentId, userId: 'u1', region: 'eu-central', plan: 'starter' } as const;
    const provision = await finished(await answer(api.POST('/api/agents', { body })));
    expect(provision.timeline.map(({ step }) => step)).toEqual(
      expect.arrayContaining(['creating_server', 'joining_network', 'configuring', 'verifying']),
    );
    expect(await agent()).toMatchObject({ status: 'running', health: 'healthy', plan: 'starter' });
    const ledger = await answer(api.GET('/api/agents/{agentId}/ledger', { params: { path } }));
    expect(ledger).toMatchObject({ agentId, way: 'cold', seconds: expect.any(Number) });
    const found = await answer(api.GET('/api/agents', { params: { query: { q: 'client-life' } } }));
    expect(found.items.map((one) => one.agentId)).toEqual([agentId]);

    await finished(await answer(api.POST('/api/agents/{agentId}/stop', { params: { path } })));
    expect((await agent()).status).toBe('stopped');
    const again = await api.POST('/api/agents/{agentId}/stop', { params: { path } });
    expect(again.error).toMatchObject({ status: 409, type: '/problems/conflict' });
    await finished(await answer(api.POST('/api/agents/{agentId}/start', { params: { path } })));
    expect((await agent()).status).toBe('running');

    await finished(await answer(api.POST('/api/agents/{agentId}/destroy', { params: { path } })));
    expect((await agent()).status).toBe('destroyed');
    const receipt = await answer(api.GET('/api/agents/{agentId}/receipt', { params: { path } }));
    expect(receipt).toMatchObject({ agentId, kind: 'destroy' });
    const audit = await answer(api.GET('/api/audit', { params: { query: { agentId } } }));
    expect(audit.items.map(({ action }) => action)).toEqual(
      expect.arrayContaining([
        'agent.create',
        'agent.stop',
        'agent.start',
        'agent.destroy',
        'receipt.issued',
      ]),
    );
  });

  test('a refusal is a problem, with a page that explains it', async () => {
    const missing = await api.GET('/api/agents/{agentId}', { params: { path: { agentId: 'no-such' } } });
    expect(missing.error).toMatchObject({ status: 404, type: '/problems/not-found' });
    const page = await fetch(`${url}${missing.error!.type}`);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('There is no such thing');
    await expect(
      answer(api.GET('/api/agents/{agentId}', { params: { path: { agentId: 'no-such' } } })),
    ).rejects.toThrow('There is no agent no-such');
  });
}
