import { statusAt } from '../../hetzner/servers/phases.ts';
import type { DesiredServer } from './servers.ts';

/** The boot that runs behind a server: of which installation of its disk, and which start. */
export interface RunningBoot {
  generation: number;
  boot: number;
}

export type Step = 'boot' | 'shut-down' | 'cut-power' | 'record-off' | 'remove-disks' | 'nothing';

/**
 * The next step from the running machine to the desired one; the reconciler asks again until it is `nothing`.
 */
export function nextStep(
  server: DesiredServer | undefined,
  running: RunningBoot | undefined,
  nowMs: number,
): Step {
  if (server === undefined || server.deleted) return running === undefined ? 'remove-disks' : 'cut-power';
  const end = server.phases.at(-1)!.status;
  const stop = server.stopsSoftly ? 'shut-down' : 'cut-power';
  // Only the last phase counts: an action that will fail passes through a status and changes nothing.
  if (end === 'running') {
    if (running === undefined) return isStarted(server, nowMs) ? 'boot' : 'nothing';
    if (running.generation !== server.generation) return 'cut-power';
    return running.boot === server.boot ? 'nothing' : stop;
  }
  if (running !== undefined) return stop;
  return end === 'stopping' ? 'record-off' : 'nothing';
}

function isStarted({ phases }: DesiredServer, nowMs: number): boolean {
  return ['starting', 'running', 'stopping'].includes(statusAt(phases, nowMs));
}
