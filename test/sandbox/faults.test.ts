import { describe, expect, test } from 'vitest';
import {
  type Cloud,
  orderServer,
  restartCloud,
  runningServer,
  startCloud,
} from '../support/sandbox-hetzner.ts';

function order(cloud: Cloud, fault: Record<string, unknown>) {
  return cloud.control('POST', '/faults', {
    area: 'hetzner',
    method: 'POST',
    path: '/servers',
    times: 1,
    ...fault,
  });
}

async function remaining(cloud: Cloud): Promise<number[]> {
  const { faults } = (await cloud.control('GET', '/faults')).body;
  return faults.map((fault: { remaining: number }) => fault.remaining);
}

async function serverCount(cloud: Cloud): Promise<number> {
  return (await cloud.call('GET', '/servers')).body.meta.pagination.total_entries;
}

describe('an ordered fault', () => {
  test('answers with a status instead of running the call, as often as ordered', async () => {
    const cloud = await startCloud();
    const ordered = await order(cloud, { times: 2, effect: { kind: 'status', status: 503 } });
    expect(ordered).toMatchObject({ status: 201, body: { id: expect.any(Number), remaining: 2 } });
    const statuses = [];
    for (let i = 0; i < 3; i += 1) statuses.push((await orderServer(cloud, { name: 'a' })).status);
    expect(statuses).toEqual([503, 503, 201]);
    expect(await remaining(cloud)).toEqual([0]);
  });

  test('can have its own body', async () => {
    const cloud = await startCloud();
    await order(cloud, { effect: { kind: 'status', status: 409, body: { error: { code: 'conflict' } } } });
    const answer = await orderServer(cloud, { name: 'a' });
    expect(answer).toMatchObject({ status: 409, body: { error: { code: 'conflict' } } });
    expect(await serverCount(cloud)).toBe(0);
  });

  test.each([
    ['limit', 403, 'resource_limit_exceeded'],
    ['stock-out', 412, 'resource_unavailable'],
  ])('%s is %d %s', async (kind, status, code) => {
    const cloud = await startCloud();
    await order(cloud, { effect: { kind } });
    const answer = await orderServer(cloud, { name: 'a' });
    expect(answer).toMatchObject({ status, body: { error: { code } } });
    expect(await serverCount(cloud)).toBe(0);
  });

  test('delays a call that then runs', async () => {
    const cloud = await startCloud();
    await order(cloud, { effect: { kind: 'latency', ms: 150 } });
    const beganMs = performance.now();
    expect((await orderServer(cloud, { name: 'a' })).status).toBe(201);
    expect(performance.now() - beganMs).toBeGreaterThan(145);
  });

  test('swallows a call until the client gives up', async () => {
    const cloud = await startCloud();
    await order(cloud, { effect: { kind: 'black-hole' } });
    const call = fetch(`${cloud.url}/hetzner/v1/servers`, {
      method: 'POST',
      signal: AbortSignal.timeout(200),
    });
    await expect(call).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(await serverCount(cloud)).toBe(0);
  });

  test('loses the answer of a call that ran', async () => {
    const cloud = await startCloud();
    await order(cloud, { effect: { kind: 'drop-answer' } });
    await expect(orderServer(cloud, { name: 'lost' })).rejects.toThrow('fetch failed');
    expect(await serverCount(cloud)).toBe(1);
    expect((await orderServer(cloud, { name: 'lost' })).body.error.code).toBe('uniqueness_error');
  });

  test('fails the creation of a server after its answer', async () => {
    const cloud = await startCloud();
    const effect = { kind: 'action-error', code: 'action_failed', message: 'no luck' };
    await order(cloud, { effect });
    const { server, action, next_actions } = (await orderServer(cloud, { name: 'a' })).body;
    expect(action).toMatchObject({ status: 'running', error: null });
    const [created, started] = await cloud.finish(action, ...next_actions);
    expect(created).toMatchObject({ status: 'error', error: { code: 'action_failed', message: 'no luck' } });
    expect(started).toMatchObject({ status: 'error' });
    expect((await cloud.call('GET', `/servers/${server.id}`)).body.server.status).toBe('off');
  });

  test('fails an action on a server, which changes nothing', async () => {
    const cloud = await startCloud();
    const server = await runningServer(cloud, { name: 'a' });
    const effect = { kind: 'action-error', code: 'action_failed', message: 'no luck' };
    await order(cloud, { method: 'DELETE', path: '/servers/*', effect });
    const [failed] = await cloud.finish((await cloud.call('DELETE', `/servers/${server.id}`)).body.action);
    expect(failed).toMatchObject({ command: 'delete_server', status: 'error' });
    expect((await cloud.call('GET', `/servers/${server.id}`)).body.server.status).toBe('running');
  });

  test('hits exactly as many concurrent calls as ordered', async () => {
    const cloud = await startCloud();
    await order(cloud, {
      method: '*',
      path: '/locations',
      times: 7,
      effect: { kind: 'status', status: 500 },
    });
    const calls = Array.from({ length: 20 }, () => cloud.call('GET', '/locations'));
    const statuses = (await Promise.all(calls)).map((answer) => answer.status);
    expect(statuses.filter((status) => status === 500)).toHaveLength(7);
    expect(statuses.filter((status) => status === 200)).toHaveLength(13);
  });

  test('hits only what its pattern matches, in its own area', async () => {
    const cloud = await startCloud();
    const effect = { kind: 'status', status: 500 };
    await cloud.control('POST', '/faults', { area: 'stripe', effect });
    await order(cloud, { method: 'GET', path: '/servers/*', effect });
    await order(cloud, { method: 'GET', path: '^/(ssh_keys|firewalls)$', times: 2, effect });
    const status = async (path: string) => (await cloud.call('GET', path)).status;
    expect(await status('/servers')).toBe(200);
    expect(await status('/servers/1/actions')).toBe(200);
    expect(await status('/servers/1')).toBe(500);
    expect(await status('/servers/1')).toBe(404);
    expect(await status('/ssh_keys')).toBe(500);
    expect(await status('/firewalls')).toBe(500);
    expect(await remaining(cloud)).toEqual([1, 0, 0]);
  });

  test('survives a restart until it is withdrawn', async () => {
    const cloud = await startCloud();
    const { id } = (await order(cloud, { times: 5, effect: { kind: 'limit' } })).body;
    const later = await restartCloud(cloud);
    expect((await orderServer(later, { name: 'a' })).status).toBe(403);
    expect((await later.control('DELETE', `/faults/${id}`)).status).toBe(204);
    expect((await orderServer(later, { name: 'a' })).status).toBe(201);
    await order(later, { effect: { kind: 'limit' } });
    await later.control('DELETE', '/faults');
    expect(await remaining(later)).toEqual([]);
  });
});

test.each([
  ['no area', { area: undefined }, 'area'],
  ['an unknown effect', { effect: { kind: 'earthquake' } }, 'effect.kind'],
  ['a success as a fault', { effect: { kind: 'status', status: 200 } }, 'effect.status'],
  ['no times', { times: 0 }, 'times'],
  ['a broken pattern', { path: '^/(' }, 'regular expression'],
  ['an effect of another area', { area: 'stripe', effect: { kind: 'stock-out' } }, 'hetzner only'],
  ['an unknown field', { count: 3 }, 'count'],
])('an order with %s is refused with the reason', async (_what, part, reason) => {
  const cloud = await startCloud({}, { expectViolations: true });
  const answer = await order(cloud, { effect: { kind: 'limit' }, ...part });
  expect(answer.status).toBe(400);
  expect(answer.body.detail).toContain(reason);
});
