import { errorMessage } from '../errors.ts';
import { repeatEvery } from '../processes/repeat.ts';
import { pruneImages } from './choice.ts';
import { type ImageAttemptDeps, runImageAttempt } from './image-attempt.ts';
import { takeImageWork } from './images.ts';

export interface ImageKeeperDeps extends ImageAttemptDeps {
  workerId: string;
}

const LOOK_SECONDS = 2;

/**
 * Builds and removes images, one at a time beside the worker's operations. Once one has been built, images
 * that nothing is made from any more are removed.
 */
export function startImageKeeper(
  deps: ImageKeeperDeps,
  lookSeconds = LOOK_SECONDS,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const look = async () => {
    try {
      await workOnNext(deps, stopping.signal);
    } catch (error) {
      if (!stopping.signal.aborted)
        deps.log.warn(
          { event: 'image.look_failed', error: errorMessage(error) },
          'could not keep the images',
        );
    }
  };
  const repeating = repeatEvery(lookSeconds, look);
  return {
    stop: async () => {
      stopping.abort(new Error('The worker is stopping'));
      await repeating.stop();
    },
  };
}

/** Works on the image that is due, if one is. */
export async function workOnNext(deps: ImageKeeperDeps, signal: AbortSignal): Promise<void> {
  const { database, leaseSeconds, workerId } = deps;
  const version = deps.parts.settings.configurationVersion;
  const projects = deps.parts.ownProjects;
  const image = await takeImageWork(database, workerId, { leaseSeconds, version, projects });
  if (image === undefined) return;
  const isDone = await runImageAttempt(deps, image, workerId, signal);
  if (isDone && image.status === 'building')
    await database.transaction().execute((trx) => pruneImages(trx, { version, actor: 'service' }));
}
