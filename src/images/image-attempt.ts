import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { behindFence } from '../operations/behind-fence.ts';
import { inProject, type RunbookParts } from '../operations/runbook-parts.ts';
import { underLease } from '../operations/under-lease.ts';
import type { Lease } from '../processes/lease.ts';
import type { Fence } from '../pulumi/fence.ts';
import { type BuildDeps, buildImage, removeImage } from './build.ts';
import {
  type ImageRow,
  type ImageWork,
  recordImageInputs,
  recordImageStep,
  renewImageLease,
  settleImageFailure,
} from './images.ts';

export interface ImageAttemptDeps extends Pick<BuildDeps, 'switchesItselfOff' | 'offWithinSeconds'> {
  database: Database;
  parts: RunbookParts;
  fence: Fence;
  leaseSeconds: number;
  log: Log;
}

/** Hetzner's snapshots have taken up to an hour. */
const LIMIT_SECONDS = 90 * 60;

/**
 * Builds or removes an image under a lease and behind the fence, as any attempt. Never throws.
 * @returns whether it is done
 */
export async function runImageAttempt(
  deps: ImageAttemptDeps,
  image: ImageRow,
  workerId: string,
  stopping: AbortSignal,
): Promise<boolean> {
  const { database, log, leaseSeconds } = deps;
  const { image_id: imageId, attempt, status } = image;
  const work: ImageWork = { imageId, attempt, workerId };
  const renew = () => renewImageLease(database, work, leaseSeconds);
  log.info({ event: 'image.attempt_started', imageId, attempt, status }, `${status} ${imageId}`);
  const ended = await underLease({ leaseSeconds, limitSeconds: LIMIT_SECONDS, renew, stopping }, (held) =>
    buildOrRemove(deps, image, { work, ...held }),
  );
  if (ended.status === 'done') {
    log.info({ event: 'image.attempt_ended', imageId, attempt }, `${imageId}: done`);
    return true;
  }
  const { error } = ended;
  log.warn(
    { event: 'image.attempt_failed', imageId, attempt, error: errorMessage(error) },
    `${imageId} failed`,
  );
  if (ended.status === 'failed')
    await settleImageFailure(database, work, image, { error, counts: !stopping.aborted }).catch(() => {});
  return false;
}

async function buildOrRemove(
  deps: ImageAttemptDeps,
  image: ImageRow,
  { work, signal, lease }: { work: ImageWork; signal: AbortSignal; lease: Lease },
): Promise<void> {
  const { database, fence, log } = deps;
  const { image_id: imageId, attempt } = image;
  const owned = { ...image, ownerId: imageId, makes: image.status === 'building' };
  const told = {
    step: (step: string) => void recordImageStep(database, work, step).catch(() => {}),
    log: (line: string) => log.debug({ event: 'image.log', imageId, attempt }, line),
  };
  await behindFence({ fence, log, what: 'an image' }, owned, { signal, lease, ...told }, (run) => {
    const { images: _, slots: __, projects: ___, ...others } = inProject(deps.parts, image.project);
    const parts: RunbookParts = {
      ...others,
      recordInputs: async (_run, prepared) => {
        await recordImageInputs(database, work, prepared);
        // What is removed at the end of this attempt is found by them.
        Object.assign(run.agent, prepared);
      },
    };
    return (owned.makes ? buildImage : removeImage)({ ...deps, parts }, run, image, work);
  });
}
