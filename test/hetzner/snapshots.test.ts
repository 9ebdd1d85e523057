import { expect, test } from 'vitest';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { ActionFailedError, ProtectedError } from '../../src/hetzner/refusals.ts';
import { Secret } from '../../src/secret.ts';
import { toSnapshotLabels } from '../../stacks/labels.ts';
import { type Cloud, hcloudToken, runningServer, startCloud } from '../support/sandbox-hetzner.ts';

const never = new AbortController().signal;
const named = { name: 'agent-a1', labels: toSnapshotLabels({ agentId: 'a1' }, 'operation-1') };

async function setup() {
  const cloud = await startCloud();
  const hetzner = createHetznerClient({
    token: new Secret(hcloudToken),
    endpoint: `${cloud.url}/hetzner/v1`,
  });
  const { id } = await runningServer(cloud, { name: 'agent-a1' });
  return { cloud, hetzner, serverId: String(id) };
}

const fault = (cloud: Cloud, effect: object) =>
  cloud.control('POST', '/faults', {
    area: 'hetzner',
    method: 'POST',
    path: '/servers/*/actions/create_image',
    times: 1,
    effect,
  });

test('a snapshot is returned once it is available, is found by its labels, and is deleted', async () => {
  const { hetzner, serverId } = await setup();
  const made = await hetzner.createSnapshot(serverId, named, never);
  expect(made).toMatchObject({ ...named, status: 'available', serverId, sizeGb: expect.any(Number) });
  expect(await hetzner.getSnapshot(made.id)).toEqual(made);
  expect(await hetzner.listSnapshots('a1')).toEqual([made]);
  expect(await hetzner.listSnapshots('a2')).toEqual([]);
  expect(await hetzner.snapshotPage(1)).toEqual({ items: [made], total: 1, nextPage: null });
  await hetzner.setSnapshotLabels(made.id, { ...named.labels, mine: 'x' });
  expect((await hetzner.getSnapshot(made.id))?.labels).toEqual({ ...named.labels, mine: 'x' });
  await hetzner.deleteServer(serverId, { wait: true });
  expect((await hetzner.getSnapshot(made.id))?.serverId).toBe(serverId);
  await hetzner.deleteSnapshot(made.id);
  await hetzner.deleteSnapshot(made.id);
  expect(await hetzner.getSnapshot(made.id)).toBeUndefined();
});

test('one whose answer was lost is found by its labels and awaited', async () => {
  const { cloud, hetzner, serverId } = await setup();
  await fault(cloud, { kind: 'drop-answer' });
  await expect(hetzner.createSnapshot(serverId, named, never)).rejects.toThrow();
  const [begun] = await hetzner.listSnapshots('a1');
  expect(await hetzner.awaitSnapshot(begun!.id, never)).toMatchObject({ status: 'available', serverId });
});

test('a failure is told with Hetzner’s reason, and one that failed or is gone is not awaited', async () => {
  const { cloud, hetzner, serverId } = await setup();
  await fault(cloud, { kind: 'action-error', code: 'action_failed', message: 'the disk could not be read' });
  const failed = hetzner.createSnapshot(serverId, named, never);
  await expect(failed).rejects.toThrow('the disk could not be read');
  await expect(failed).rejects.toBeInstanceOf(ActionFailedError);
  const [left] = await hetzner.listSnapshots('a1');
  expect(left).toMatchObject({ status: 'unavailable', sizeGb: null });
  await expect(hetzner.awaitSnapshot(left!.id, never)).rejects.toBeInstanceOf(ActionFailedError);
  await hetzner.deleteSnapshot(left!.id);
  await expect(hetzner.awaitSnapshot(left!.id, never)).rejects.toThrow('no longer at Hetzner');
});

test('a wait ends with its signal, and a protected one is refused for good', async () => {
  const { cloud, hetzner, serverId } = await setup();
  const made = await hetzner.createSnapshot(serverId, named, never);
  const reason = new Error('enough');
  await expect(hetzner.awaitSnapshot(made.id, AbortSignal.abort(reason))).rejects.toBe(reason);
  const { body } = await cloud.call('POST', `/images/${made.id}/actions/change_protection`, { delete: true });
  await cloud.finish(body.action);
  await expect(hetzner.deleteSnapshot(made.id)).rejects.toBeInstanceOf(ProtectedError);
});
