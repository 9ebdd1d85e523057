import { expect, it } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import {
  hetznerPython,
  listSnapshotsWithOfficialClient,
  listWithOfficialClient,
} from '../../support/hetzner-client.ts';
import type { Installation } from '../../support/installation.ts';
import { advance } from '../../support/sandbox-clock.ts';

export interface Kept {
  installation: Installation;
  agentId: string;
  /** Runs an operator's command that waits for its operation. */
  agents(...words: string[]): Promise<string>;
  expectUnchanged(...verbs: ('preview' | 'refresh')[]): Promise<void>;
}

const HOUR = 3600;
const DAY = 24 * HOUR;

interface Row {
  snapshotId: string;
  why: string;
  status: string;
  hetznerId: string | null;
}

const rowsOf = async ({ installation, agentId }: Kept): Promise<Row[]> =>
  (await installation.ask(`/api/agents/${agentId}/snapshots`)).body.items;
const clock = ({ installation }: Kept) => ({ url: installation.connection.stripeApiUrl });

/** What is billed in the whole project, by its ids, as Hetzner's official client lists it. */
async function counted({ installation }: Kept): Promise<{ servers: string[]; snapshots: string[] }> {
  const { connection } = installation;
  const servers = await listWithOfficialClient(connection, '');
  const snapshots = await listSnapshotsWithOfficialClient(connection, '');
  return { servers: servers.map(({ id }) => String(id)), snapshots: snapshots.map(({ id }) => String(id)) };
}

/** A server or a snapshot that no row knows would stand out. */
async function expectCounted(kept: Kept, skip: (why: string) => void): Promise<void> {
  if (hetznerPython === undefined) return skip('Hetzner’s Python client could not be set up');
  const { body: agent } = await kept.installation.ask(`/api/agents/${kept.agentId}`);
  expect(await counted(kept)).toEqual({
    servers: agent.serverId === null ? [] : [agent.serverId],
    snapshots: (await rowsOf(kept)).map(({ hetznerId }) => hetznerId),
  });
}

/** Lets the time of the schedule pass, and waits for what it makes. */
async function nextScheduled(kept: Kept): Promise<Row> {
  const before = (await rowsOf(kept)).map(({ snapshotId }) => snapshotId);
  await advance(clock(kept), 1.5 * HOUR);
  const news = async () =>
    (await rowsOf(kept)).find(
      ({ snapshotId, status }) => status === 'available' && !before.includes(snapshotId),
    );
  await eventually('another snapshot is complete', async () => (await news()) !== undefined, {
    withinSeconds: 90,
    describe: kept.installation.terminal,
  });
  return (await news())!;
}

/** Declares tests of an agent's snapshots, of an agent of the plan `pro` that runs. */
export function testSnapshots(get: () => Kept): void {
  it('its disk is kept as its plan says: a newer snapshot takes the place of the oldest', async ({
    skip,
  }) => {
    const kept = get();
    const first = await nextScheduled(kept);
    const second = await nextScheduled(kept);
    expect([first.why, second.why]).toEqual(['scheduled', 'scheduled']);
    await eventually(
      'the first one is removed',
      async () => (await rowsOf(kept)).every(({ snapshotId }) => snapshotId === second.snapshotId),
      { withinSeconds: 60, describe: kept.installation.terminal },
    );
    await expectCounted(kept, skip);
  }, 300_000);

  it('a drill makes a server from its snapshot, and removes it', async ({ skip }) => {
    const kept = get();
    expect(await kept.agents('snapshots', 'drill', kept.agentId)).toContain('It succeeded.');
    const [drill] = (await kept.installation.ask('/api/snapshot-drills')).body.items;
    expect(drill).toMatchObject({ agentId: kept.agentId, status: 'succeeded', error: null });
    await expectCounted(kept, skip);
  }, 120_000);

  it('is put back to its snapshot: another server with its disk, name and device', async ({ skip }) => {
    const kept = get();
    const { installation, agentId, agents, expectUnchanged } = kept;
    const before = (await installation.ask(`/api/agents/${agentId}`)).body;
    const [row] = await rowsOf(kept);
    expect(await agents('revert', agentId, '--snapshot', row!.snapshotId, '--yes')).toContain(
      'revert succeeded',
    );
    const after = await installation.untilAgent(agentId, 'running', 120);
    const { tailnetIp, tailnetName } = before;
    expect(after).toMatchObject({ health: 'healthy', tailnetIp, tailnetName });
    expect(after.serverId).not.toBe(before.serverId);
    const [server] = await installation.query(
      'select image_id::text as image from hetzner_servers where id = $1',
      [after.serverId],
      'sandbox',
    );
    expect(server.image).toBe(row!.hetznerId);
    await expectUnchanged('preview', 'refresh');
    await expectCounted(kept, skip);
  }, 300_000);
}

/** Declares a test of what is left of the destroyed agent. */
export function testLastSnapshot(get: () => Kept): void {
  it('leaves its last snapshot, as its plan says, until its time is over', async ({ skip }) => {
    const kept = get();
    const { installation, agentId } = kept;
    const { body: receipt } = await installation.ask(`/api/agents/${agentId}/receipt`);
    const last = (await rowsOf(kept)).filter(({ why }) => why === 'before-destroy');
    expect(last).toMatchObject([{ status: 'available', hetznerId: receipt.body.lastSnapshot.hetznerId }]);
    const until = (what: string, ids: (string | null)[]) =>
      eventually(
        what,
        async () => String((await rowsOf(kept)).map(({ hetznerId }) => hetznerId)) === String(ids),
        { withinSeconds: 60, describe: installation.terminal },
      );
    await until('the others are gone', [last[0]!.hetznerId]);
    await expectCounted(kept, skip);
    await advance(clock(kept), 31 * DAY);
    await until('it is gone', []);
    await expectCounted(kept, skip);
  }, 180_000);
}
