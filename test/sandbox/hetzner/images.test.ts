import { expect, test } from 'vitest';
import {
  type Cloud,
  eventually,
  orderServer,
  restartCloud,
  runningServer,
  startCloud,
} from '../../support/sandbox-hetzner.ts';

async function createSnapshot(cloud: Cloud, serverId: number, body: object = {}) {
  const answer = await cloud.call('POST', `/servers/${serverId}/actions/create_image`, body);
  expect(answer.status).toBe(201);
  await cloud.finish(answer.body.action);
  return answer.body.image;
}

const read = async (cloud: Cloud, path: string) => (await cloud.call('GET', path)).body;

test('a snapshot is created from a server, is listed, and outlives it', async () => {
  const cloud = await startCloud();
  const server = await runningServer(cloud, { name: 'one' });
  const made = await cloud.call('POST', `/servers/${server.id}/actions/create_image`, {
    description: 'before the change',
    labels: { keep: 'yes' },
  });
  expect(made.body).toMatchObject({
    action: { command: 'create_image', status: 'running' },
    image: {
      type: 'snapshot',
      status: 'creating',
      name: null,
      image_size: null,
      created_from: { id: server.id },
    },
  });
  await cloud.finish(made.body.action);
  const { id } = made.body.image;
  expect((await read(cloud, `/images/${id}`)).image).toMatchObject({
    status: 'available',
    description: 'before the change',
    disk_size: 40,
    image_size: expect.any(Number),
    os_flavor: 'debian',
    os_version: '12',
    bound_to: null,
    labels: { keep: 'yes' },
    architecture: 'x86',
  });
  await cloud.finish((await cloud.call('DELETE', `/servers/${server.id}`)).body.action);
  for (const query of ['type=snapshot', 'label_selector=keep', 'status=available&type=snapshot&type=backup'])
    expect((await read(cloud, `/images?${query}`)).images).toMatchObject([{ id }]);
  expect((await read(cloud, '/images?type=system&architecture=x86')).images).not.toContainEqual(
    expect.objectContaining({ id }),
  );
  // A process that starts later knows it too.
  const later = await restartCloud(cloud);
  expect((await read(later, `/images/${id}`)).image).toMatchObject({ id, status: 'available' });
});

test('a server is created and rebuilt from a snapshot, and still shows it after the snapshot is deleted', async () => {
  const cloud = await startCloud();
  const origin = await runningServer(cloud, { name: 'origin' });
  const { id } = await createSnapshot(cloud, origin.id);
  const copy = await runningServer(cloud, { name: 'copy', image: id });
  expect(copy).toMatchObject({ status: 'running', image: { id, type: 'snapshot', os_flavor: 'debian' } });
  const rebuilt = await cloud.call('POST', `/servers/${origin.id}/actions/rebuild`, { image: String(id) });
  await cloud.finish(rebuilt.body.action);
  expect((await read(cloud, `/servers/${origin.id}`)).server.image.id).toBe(id);

  expect((await cloud.call('DELETE', `/images/${id}`)).status).toBe(204);
  expect((await cloud.call('GET', `/images/${id}`)).status).toBe(404);
  expect((await orderServer(cloud, { name: 'late', image: id })).body.error.code).toBe('invalid_input');
  expect((await read(cloud, `/servers/${copy.id}`)).server.image).toMatchObject({
    id,
    deleted: expect.any(String),
  });
});

test('an image that does not fit, or is not finished, is refused', async () => {
  const cloud = await startCloud({ serverActionMs: 40 });
  const big = await runningServer(cloud, { name: 'big', server_type: 'cx33' });
  const { id } = await createSnapshot(cloud, big.id);
  const order = (rest: object) => orderServer(cloud, { name: 'new', image: id, ...rest });
  expect((await order({ server_type: 'cx23' })).body.error.message).toContain('needs a disk of 80 GB');
  expect((await order({ server_type: 'cax21' })).body.error.message).toContain('does not run on arm');
  const small = await runningServer(cloud, { name: 'small' });
  const rebuild = await cloud.call('POST', `/servers/${small.id}/actions/rebuild`, { image: id });
  expect(rebuild.body.error.code).toBe('invalid_input');
  await cloud.control('POST', '/faults', {
    area: 'hetzner',
    method: 'POST',
    path: '/servers/*/actions/create_image',
    times: 1,
    effect: { kind: 'action-error', code: 'action_failed', message: 'the disk could not be read' },
  });
  const failed = await createSnapshot(cloud, small.id);
  expect((await read(cloud, `/images/${failed.id}`)).image).toMatchObject({ status: 'unavailable' });
  expect((await order({ image: failed.id })).body.error.message).toContain('is unavailable');
});

test('a protected image cannot be deleted, and system images cannot be changed', async () => {
  const cloud = await startCloud();
  const { id } = await createSnapshot(cloud, (await runningServer(cloud, { name: 'one' })).id);
  const protect = async (value: boolean) => {
    const body = { delete: value };
    const answer = await cloud.call('POST', `/images/${id}/actions/change_protection`, body);
    expect(answer).toMatchObject({ status: 201, body: { action: { command: 'change_protection' } } });
    await cloud.finish(answer.body.action);
    return answer.body.action.id;
  };
  const action = await protect(true);
  expect((await read(cloud, `/images/${id}`)).image.protection).toEqual({ delete: true });
  expect(await cloud.call('DELETE', `/images/${id}`)).toMatchObject({
    status: 423,
    body: { error: { code: 'protected' } },
  });
  expect((await read(cloud, `/images/${id}/actions`)).actions).toMatchObject([
    { id: action, status: 'success' },
  ]);
  await protect(false);
  expect((await cloud.call('DELETE', `/images/${id}`)).status).toBe(204);

  const [system] = (await read(cloud, '/images?name=debian-12&architecture=x86')).images;
  for (const [method, path, body] of [
    ['PUT', '', { description: 'mine' }],
    ['DELETE', ''],
    ['POST', '/actions/change_protection', { delete: true }],
  ] as const)
    expect((await cloud.call(method, `/images/${system.id}${path}`, body)).body.error.code).toBe('forbidden');
});

test('a backup needs backups enabled, and is deleted with its server unless it became a snapshot', async () => {
  const cloud = await startCloud();
  const { id } = await runningServer(cloud, { name: 'one' });
  const refused = await cloud.call('POST', `/servers/${id}/actions/create_image`, { type: 'backup' });
  expect(refused.body.error.code).toBe('invalid_input');
  await cloud.finish((await cloud.call('POST', `/servers/${id}/actions/enable_backup`)).body.action);
  const gone = await createSnapshot(cloud, id, { type: 'backup' });
  const kept = await createSnapshot(cloud, id, { type: 'backup' });
  expect((await read(cloud, `/images?bound_to=${id}`)).images).toHaveLength(2);
  const update = { type: 'snapshot', description: 'kept', labels: { a: 'b' } };
  expect((await cloud.call('PUT', `/images/${kept.id}`, update)).body.image).toMatchObject({
    ...update,
    bound_to: null,
  });
  await cloud.finish((await cloud.call('DELETE', `/servers/${id}`)).body.action);
  await eventually(async () =>
    (await cloud.call('GET', `/images/${gone.id}`)).status === 404 ? true : undefined,
  );
  expect((await cloud.call('GET', `/images/${kept.id}`)).status).toBe(200);
});

test('a database from before snapshots is migrated and keeps its servers', async () => {
  const cloud = await startCloud();
  const { id } = await runningServer(cloud, { name: 'old' });
  await cloud.database.schema.dropTable('hetzner_images').cascade().execute();
  await cloud.database
    .updateTable('sandbox_schema')
    .set({ version: 2 })
    .where('area', '=', 'hetzner')
    .execute();
  const later = await restartCloud(cloud);
  expect((await read(later, `/servers/${id}`)).server.image).toMatchObject({ name: 'debian-12' });
  expect(await createSnapshot(later, id)).toMatchObject({
    type: 'snapshot',
    created_from: { id, name: 'old' },
  });
});
