import { z } from 'zod';
import { MANAGED, toLabels } from '../../stacks/labels.ts';
import { RetryableError } from '../errors.ts';
import { parseAnswer } from '../http-client/answer.ts';
import { poll } from '../processes/poll.ts';
import { toAction, unlessLocked, untilFinished } from './actions.ts';
import {
  type Call,
  HETZNER,
  type List,
  orMissing,
  type Page,
  readList,
  readPage,
  withLabels,
} from './calls.ts';
import { ActionFailedError } from './refusals.ts';
import { type Snapshot, snapshotSchema } from './resources.ts';

/** Calls on the snapshots of servers. @see https://docs.hetzner.cloud/reference/cloud#images */
export interface SnapshotCalls {
  /** Lists all snapshots with the labels of this agent. */
  listSnapshots(agentId: string): Promise<Snapshot[]>;
  /** Lists the snapshots with the labels of any agent, 50 a page. */
  snapshotPage(page: number): Promise<Page<Snapshot>>;
  /** Returns undefined if it does not exist. */
  getSnapshot(snapshotId: string): Promise<Snapshot | undefined>;
  /**
   * Makes a snapshot of a server's disk and returns it once it is available, which takes minutes to an hour.
   * @throws RetryableError if that fails or takes longer; the snapshot may exist
   */
  createSnapshot(serverId: string, snapshot: NewSnapshot, signal: AbortSignal): Promise<Snapshot>;
  /**
   * Waits until a snapshot is no longer being made, e.g. one that a killed attempt began.
   * @throws RetryableError if it failed, disappeared or takes too long
   */
  awaitSnapshot(snapshotId: string, signal: AbortSignal): Promise<Snapshot>;
  /** Replaces all labels. */
  setSnapshotLabels(snapshotId: string, labels: Record<string, string>): Promise<void>;
  /** A missing one is fine. */
  deleteSnapshot(snapshotId: string): Promise<void>;
}

export interface NewSnapshot {
  name: string;
  labels: Record<string, string>;
}

const SNAPSHOTS: List<Snapshot> = { kind: 'images', item: snapshotSchema };
/** The quota allows one call a second for everything. */
const PAUSES = { intervalMs: 100, longestIntervalMs: 15_000 };
const SNAPSHOT_SECONDS = 60 * 60;

const one = z.object({ image: snapshotSchema });

/** Creates the calls on snapshots. */
export function createSnapshotCalls(call: Call): SnapshotCalls {
  const getSnapshot = async (snapshotId: string) => {
    const answer = await orMissing(call('GET', `/images/${snapshotId}`));
    return answer === undefined ? undefined : parseAnswer(one, answer, HETZNER).image;
  };
  const awaitSnapshot = async (snapshotId: string, signal: AbortSignal) => {
    const isMade = async () => {
      const now = await getSnapshot(snapshotId);
      if (now === undefined) throw new ActionFailedError(`Snapshot ${snapshotId} is no longer at Hetzner`);
      if (now.status === 'unavailable')
        throw new ActionFailedError(`Hetzner could not make the snapshot ${snapshotId}`);
      return now.status === 'creating' ? undefined : now;
    };
    const made = await poll(isMade, { ...PAUSES, timeoutMs: SNAPSHOT_SECONDS * 1000, signal });
    if (made !== undefined) return made;
    throw new RetryableError(`Hetzner has not made the snapshot ${snapshotId} within ${SNAPSHOT_SECONDS} s`);
  };
  return {
    listSnapshots: (agentId) =>
      readList(call, SNAPSHOTS, `type=snapshot&${withLabels(toLabels({ agentId }))}`),
    snapshotPage: (page) =>
      readPage(call, SNAPSHOTS, { query: `type=snapshot&${withLabels(MANAGED)}`, page }),
    getSnapshot,
    createSnapshot: async (serverId, { name, labels }, signal) => {
      const body = { type: 'snapshot', description: name, labels };
      const path = `/servers/${serverId}/actions/create_image`;
      const begun = await unlessLocked(() => call('POST', path, { body, signal }), signal);
      const { image } = parseAnswer(one, begun, HETZNER);
      const followed = { name: 'snapshot', action: toAction(begun), pauses: PAUSES };
      await untilFinished(call, { ...followed, seconds: SNAPSHOT_SECONDS }, signal);
      return awaitSnapshot(image.id, signal);
    },
    awaitSnapshot,
    setSnapshotLabels: async (snapshotId, labels) =>
      void (await call('PUT', `/images/${snapshotId}`, { body: { labels } })),
    deleteSnapshot: async (snapshotId) => void (await orMissing(call('DELETE', `/images/${snapshotId}`))),
  };
}
