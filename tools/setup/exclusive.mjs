import { setTimeout as sleep } from 'node:timers/promises';
import { claimFolder } from '../../src/processes/claims.mjs';
import { Interrupted } from './run.mjs';

/**
 * Runs work that only one process may do at a time. Waits for another process doing it now, unless that one
 * was killed.
 * @template T
 * @param {string} folder  where the claim is kept
 * @param {{ onWait: (pid: number) => void, signal?: AbortSignal | undefined }} options
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function exclusively(folder, options, work) {
  for (let told = false; ; ) {
    const claim = claimFolder(folder);
    if (claim.owner === null) {
      try {
        return await work();
      } finally {
        claim.release();
      }
    }
    if (!told) options.onWait(claim.owner.pid);
    told = true;
    await sleep(200);
    if (options.signal?.aborted) throw new Interrupted();
  }
}
