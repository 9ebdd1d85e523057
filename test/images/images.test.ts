import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { completeInputs } from '../../src/agents/inputs.ts';
import { getAgent } from '../../src/agents/store.ts';
import { CREDENTIAL_REFUSED, LostError, PermanentError, RetryableError } from '../../src/errors.ts';
import { createImageParts, pruneImages } from '../../src/images/choice.ts';
import { type ImageRow, requestImage } from '../../src/images/images.ts';
import { type ImageKeeperDeps, workOnNext } from '../../src/images/keeper.ts';
import { settleFailure } from '../../src/operations/settle.ts';
import { NotJoinedError } from '../../src/pulumi/errors.ts';
import { noFence } from '../../src/pulumi/fence.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import { provision as operation } from '../../src/runbooks/provision.ts';
import { Secret } from '../../src/secret.ts';
import {
  claim,
  type OperationsFixture,
  openOperations,
  order,
  waitOver,
} from '../support/operations-fixture.ts';
import {
  createRunbookFixture,
  prepareAttempt,
  type RunbookFixture,
  server,
} from '../support/runbook-fixture.ts';
import { addSlot } from '../support/slots.ts';

let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  fixture = createRunbookFixture(at);
  fixture.deps.images = createImageParts(at.database);
});

const VERSION = 'v1';
const KIND = { project: 'default', version: VERSION, architecture: 'x86' as const };
const request = (changes: object = {}) =>
  requestImage(at.database, { ...KIND, location: 'nbg1', plan: 'starter', ...changes });
const rows = () => at.database.selectFrom('images').selectAll().orderBy('created_at').execute();
const only = async (): Promise<ImageRow> => (await rows())[0]!;

function keeper(): ImageKeeperDeps {
  const { executor } = fixture.deps;
  const up: typeof executor.up = async (run, program, options) => {
    const result = await executor.up(run, program, options);
    // The playbook's last step has switched it off.
    if (program.stack === 'agent' && options.becomesImage === true)
      fixture.servers.push({ ...server(program.inputs.agentId, 1), status: 'off' });
    return result;
  };
  return {
    database: at.database,
    parts: { ...fixture.deps, executor: { ...executor, up } },
    fence: noFence(new Secret('postgres://state')),
    leaseSeconds: 30,
    log: at.log,
    switchesItselfOff: true,
    offWithinSeconds: 0.2,
    workerId: 'w1',
  };
}

const work = () => workOnNext(keeper(), new AbortController().signal);
/** As a killed worker leaves it: its lease is over, and nothing was settled. */
const expire = () =>
  at.database
    .updateTable('images')
    .set({ worker_id: 'dead', lease_until: new Date(0), run_after: new Date(0) })
    .execute();

async function built(changes: object = {}): Promise<ImageRow> {
  const { image_id: imageId } = await request(changes);
  // Removals go first.
  for (const _ of await rows()) await work();
  const image = (await rows()).find((row) => row.image_id === imageId)!;
  expect(image).toMatchObject({ status: 'available', error: null });
  fixture.calls.length = 0;
  fixture.programs.length = 0;
  return image;
}

describe('a build', () => {
  test('is left to the workers that have its Hetzner project', async () => {
    await request();
    const deps = keeper();
    const parts = { ...deps.parts, ownProjects: ['us'] };
    await workOnNext({ ...deps, parts }, new AbortController().signal);
    expect((await only()).status).toBe('building');
    await work();
    expect((await only()).status).toBe('available');
  });

  test('makes a server without an agent, keeps its disk, and leaves nothing else', async () => {
    await request();
    await work();
    const image = await only();
    expect(image).toMatchObject({
      ...KIND,
      status: 'available',
      size_gb: 0.4,
      secrets: null,
      lease_until: null,
      available_at: expect.any(Date),
    });
    expect(fixture.snapshots).toMatchObject([
      {
        id: image.snapshot_id,
        name: image.image_id,
        labels: { 'agent-id': image.image_id, 'playbook-version': VERSION, architecture: 'x86' },
      },
    ]);
    expect({ servers: fixture.servers, keys: fixture.sshKeys, devices: fixture.devices }).toEqual({
      servers: [],
      keys: [],
      devices: [],
    });
    // No agent runs on it: nobody asks for its health.
    expect(fixture.calls.filter((call) => call.startsWith('healthy'))).toEqual([]);
    const entry = await at.database
      .selectFrom('audit_log')
      .selectAll()
      .where('action', '=', 'image.built')
      .execute();
    expect(entry).toMatchObject([{ details: { snapshotId: image.snapshot_id, gone: expect.anything() } }]);
  });

  test('is left to workers with its version of the playbook, without a try', async () => {
    const { image_id: other } = await request({ version: 'v2' });
    await request();
    await work();
    const [left, own] = await rows();
    expect(left).toMatchObject({ image_id: other, status: 'building', tries: 0, attempt: 0, error: null });
    expect(own).toMatchObject({ version: VERSION, status: 'available' });
  });

  test('that no worker with its version has touched for an hour is removed, and people are told', async () => {
    const { image_id: imageId } = await request({ version: 'v2' });
    await at.database.updateTable('images').set({ updated_at: sql`now() - interval '2 hours'` }).execute();
    await work();
    expect(await only()).toMatchObject({ image_id: imageId, status: 'removed', failure_code: 'not_built' });
    const [item] = await listAttention(at.database, { limit: 10 });
    expect(item?.cause).toContain('No worker with its version');
  });

  test('that fails removes no image', async () => {
    const image = await built();
    await at.database.updateTable('images').set({ version: 'v0' }).execute();
    await request();
    fixture.answers['up agent'] = [new RetryableError('503')];
    await work();
    expect((await rows()).find((row) => row.image_id === image.image_id)?.status).toBe('available');
  });

  test('that is asked for twice is one', async () => {
    const [first, second] = [await request(), await request()];
    expect(second.image_id).toBe(first.image_id);
    expect(await rows()).toHaveLength(1);
    expect((await request({ version: 'v2' })).image_id).not.toBe(first.image_id);
  });

  test.each(['up foundation', 'up agent', 'snapshot', 'destroy agent', 'forget'] as const)(
    'killed at "%s" is made good by the next attempt: one snapshot, no server',
    async (moment) => {
      await request();
      fixture.answers[moment] = [new LostError('killed')];
      await work();
      expect((await only()).status).toBe('building');
      await expire();
      await work();
      const image = await only();
      expect(image).toMatchObject({ status: 'available', attempt: 2 });
      expect(fixture.snapshots.map(({ id, status }) => ({ id, status }))).toEqual([
        { id: image.snapshot_id, status: 'available' },
      ]);
      expect(fixture.servers).toEqual([]);
      expect(fixture.devices).toEqual([]);
    },
  );

  test('whose server does not clean its disk makes no image; after three tries nothing is left, and people are told', async () => {
    await request();
    const deps = keeper();
    const { up } = deps.parts.executor;
    deps.parts.executor.up = async (...args) => {
      const result = await up(...args);
      for (const one of fixture.servers) one.status = 'running';
      return result;
    };
    for (let tries = 0; tries < 3; tries++) {
      await workOnNext(deps, new AbortController().signal);
      await at.database
        .updateTable('images')
        .set({ run_after: new Date(0) })
        .execute();
    }
    expect(await only()).toMatchObject({ status: 'removing', failure_code: 'not_built' });
    await work();
    expect(await only()).toMatchObject({ status: 'removed', inputs: null, secrets: null });
    expect({ servers: fixture.servers, snapshots: fixture.snapshots }).toEqual({
      servers: [],
      snapshots: [],
    });
    const [item] = await listAttention(at.database, { limit: 10 });
    expect(item).toMatchObject({
      class: 'configuration',
      cause: expect.stringContaining('could not be built'),
    });
    expect(item?.cause).toContain('switched itself off');
    await built();
    expect(await listAttention(at.database, { limit: 10 })).toEqual([]);
  });
});

describe('new servers', () => {
  const getInputs = async () => completeInputs('a1', (await getAgent(at.database, 'a1')).inputs);
  const images = () =>
    fixture.programs.flatMap((program) => (program.stack === 'agent' ? [program.inputs.image] : []));
  const provision = async (row: Awaited<ReturnType<typeof order>>) => {
    const made = await prepareAttempt(at, row, fixture);
    return { ...made, effect: await operation.run(fixture.deps)(made.run) };
  };
  const begin = async () => {
    await order(at, 'a1');
    const { row, claim: held } = await claim(at);
    return { held, ...(await provision(row)) };
  };

  test('are made from the newest image of their version and architecture', async () => {
    await built();
    await at.database.updateTable('images').set({ available_at: sql`now() - interval '1 day'` }).execute();
    await built({ architecture: 'arm' });
    const newest = await built();
    await begin();
    expect(images()).toEqual([newest.snapshot_id]);
    expect((await getInputs()).image).toBe(newest.snapshot_id);
  });

  test('are made from the ordinary one where none fits', async () => {
    await built();
    await at.database.updateTable('images').set({ version: 'v2' }).execute();
    await begin();
    expect(images()).toEqual(['debian-12']);
  });

  const doubt = (ownerId: string, image: ImageRow) =>
    fixture.deps.images!.doubt(image.snapshot_id!, { ownerId, why: 'It did not join' });
  const isOffered = async (image: ImageRow) =>
    (await fixture.deps.images!.find({ ...KIND, serverType: 'cx23' })) === image.snapshot_id;

  test('that do not join are no evidence against the image until there is a second one', async () => {
    const image = await built();
    expect(await doubt('a1', image)).toBe(false);
    // Again, as after a kill.
    expect(await doubt('a1', image)).toBe(false);
    expect([(await only()).status, await isOffered(image)]).toEqual(['available', true]);
    expect(await doubt('a2', image)).toBe(true);
    expect(await only()).toMatchObject({ status: 'bad', error: 'It did not join (a1 and a2)' });
    expect(await doubt('a3', image)).toBe(true);
  });

  test('whose image cannot be asked for are made from the ordinary one', async () => {
    await built();
    const { held } = await begin();
    await settleFailure(at, held, { error: new RetryableError('503'), step: 'creating_server' });
    await waitOver(at);
    fixture.programs.length = 0;
    // As on a runner.
    delete fixture.deps.images;
    await provision((await claim(at)).row);
    expect(images()).toEqual(['debian-12']);
    expect((await getInputs()).image).toBe('debian-12');
  });

  test('of an image that does not join are made again from the ordinary one; of the second, people are told', async () => {
    const image = await built();
    await doubt('a0', image);
    const { held } = await begin();
    fixture.servers.push(server('a1', 1));
    await settleFailure(at, held, { error: new NotJoinedError('not joined'), step: 'joining_network' });
    await waitOver(at);
    fixture.programs.length = 0;
    const { lines } = await provision((await claim(at)).row);
    expect(images()).toEqual(['debian-12']);
    expect((await getInputs()).image).toBe('debian-12');
    expect(lines).toContainEqual(expect.stringContaining('is not used again'));
    expect(fixture.calls).toContain('delete server 1');
    const [item] = await listAttention(at.database, { limit: 10 });
    expect(item).toMatchObject({ class: 'configuration', cure: expect.stringContaining('image build') });
    expect(item?.cause).toContain(`${image.image_id} is bad: The server did not join the tailnet in time`);
    // And none is made from it any more.
    expect(await isOffered(image)).toBe(false);
  });

  test('of an image whose snapshot is gone are made from the ordinary one in the same attempt', async () => {
    const image = await built();
    fixture.snapshots.length = 0;
    fixture.answers['up agent'] = [new PermanentError('image not found')];
    await begin();
    expect(images()).toEqual([image.snapshot_id, 'debian-12']);
    expect(await only()).toMatchObject({
      status: 'bad',
      error: expect.stringContaining('no longer at Hetzner'),
    });
  });

  test('that Hetzner refuses to make from it, such as for a small disk, are made from the ordinary one', async () => {
    const image = await built();
    fixture.answers['up agent'] = [new PermanentError('disk too small (invalid_input)')];
    await begin();
    expect(images()).toEqual([image.snapshot_id, 'debian-12']);
    expect((await only()).status).toBe('available');
    // The refusal may have come before the stack was there.
    expect(fixture.calls.filter((call) => call.startsWith('up agent'))).toEqual([
      'up agent new',
      'up agent new',
    ]);
  });

  test('are not made from the ordinary one for a refusal of something else', async () => {
    const image = await built();
    const refused = new PermanentError('unable to authenticate (unauthorized)', {
      failureCode: CREDENTIAL_REFUSED,
    });
    fixture.answers['up agent'] = [refused];
    await expect(begin()).rejects.toThrow('unauthorized');
    expect(images()).toEqual([image.snapshot_id]);
  });

  test('another failure is no evidence against the image', async () => {
    const image = await built();
    fixture.answers['up agent'] = [new RetryableError('503')];
    await expect(begin()).rejects.toThrow('503');
    expect(images()).toEqual([image.snapshot_id]);
    expect((await only()).status).toBe('available');
  });
});

describe('a prune', () => {
  const prune = () =>
    at.database.transaction().execute((trx) => pruneImages(trx, { version: VERSION, actor: 'operator' }));

  test('removes all but the newest that fits, with their snapshots', async () => {
    const other = await built();
    await at.database.updateTable('images').set({ version: 'v0' }).execute();
    const old = await built();
    await at.database.updateTable('images').set({ available_at: sql`now() - interval '1 day'` }).execute();
    const newest = await built();
    // The end of a build prunes too.
    expect(await prune()).toEqual([]);
    await work();
    const gone = (await rows()).filter(({ status }) => status === 'removed').map((row) => row.image_id);
    expect(gone.toSorted()).toEqual([old.image_id, other.image_id].toSorted());
    expect(fixture.snapshots.map(({ id }) => id)).toEqual([newest.snapshot_id]);
  });

  test('never removes one that a server is being made from', async () => {
    const image = await built();
    await at.database.updateTable('images').set({ status: 'bad', error: 'x' }).execute();
    const slotId = await addSlot(at, fixture.vault, { status: 'making' });
    const inputs = sql<string>`jsonb_set(inputs, '{image}', to_jsonb(${image.snapshot_id}::text))`;
    await at.database
      .updateTable('slots')
      .set({ inputs: inputs as never })
      .where('slot_id', '=', slotId)
      .execute();
    expect(await prune()).toEqual([]);
    await at.database.updateTable('slots').set({ status: 'ready' }).execute();
    expect(await prune()).toEqual([image.image_id]);
  });

  test('and a server never records one that a prune has decided to remove', async () => {
    const image = await built();
    await at.database.updateTable('images').set({ version: 'v0' }).execute();
    let isUsable: Promise<boolean> | undefined;
    await at.database.transaction().execute(async (trx) => {
      expect(await pruneImages(trx, { version: VERSION, actor: 'operator' })).toEqual([image.image_id]);
      isUsable = fixture.deps.images!.isUsable(image.snapshot_id!);
    });
    expect(await isUsable).toBe(false);
  });
});
