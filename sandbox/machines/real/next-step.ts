import { statusAt } from '../../hetzner/servers/phases.ts';
import type { DesiredServer } from './servers.ts';

/** The machine that is running for a server: for which installation of its disk, and for which start. */
export interface RunningBoot {
  generation: number;
  boot: number;
}

export type Step = 'boot' | 'shut-down' | 'cut-power' | 'record-off' | 'remove-disks' | 'nothing';

/** Returns the next step towards the desired machine. The reconciler repeats this until it is `nothing`. */
export function nextStep(
  server: DesiredServer | undefined,
  running: RunningBoot | undefined,
  nowMs: number,
): Step {
  if (server === undefined || server.deleted) return running === undefined ? 'remove-disks' : 'cut-power';
  const end = server.phases.at(-1)!.status;
  const stop = server.stopsSoftly ? 'shut-down' : 'cut-power';
  // Only the last phase counts: a failing action passes through a status without changing anything.
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
