import type { Repeating } from '../processes/repeat.ts';
import { startBackingUp } from './backing-up.ts';
import { startRecords, startSeals } from './rebuilding.ts';
import type { ServiceDeps } from './service-deps.ts';

/** Keeps what brings the installation back once its databases are lost: backups, and records at Hetzner. */
export function startSafekeeping(deps: ServiceDeps): Repeating {
  const kept = [startRecords(deps), startSeals(deps), startBackingUp(deps)];
  return { stop: async () => void (await Promise.all(kept.map((one) => one?.stop()))) };
}
