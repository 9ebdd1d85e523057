import { statusAt } from '../../hetzner/servers/phases.ts';
import type { DesiredServer } from './servers.ts';

/** Which start of which installation runs behind a server. */
export interface Live {
  generation: number;
  boot: number;
}

/**
 * What is to be done about a server's machine: start it; have its system stop; cut its power; note that it has switched
 * itself off; remove its disks; or nothing, for now.
 */
export type Deed = 'boot' | 'shut-down' | 'cut-power' | 'note-off' | 'remove' | 'nothing';

/** Compares what was sold (undefined: nothing, or no more) with what runs. Called again and again, until nothing is to be done. */
export function decide(server: DesiredServer | undefined, live: Live | undefined, nowMs: number): Deed {
  if (server === undefined || server.deleted) return live === undefined ? 'remove' : 'cut-power';
  const end = server.phases.at(-1)!.status;
  const stop = server.stopsSoftly ? 'shut-down' : 'cut-power';
  // The end counts, not the way there: an action that will fail passes through a status and changes nothing.
  if (end === 'running') {
    if (live === undefined) return isStarted(server, nowMs) ? 'boot' : 'nothing';
    if (live.generation !== server.generation) return 'cut-power';
    return live.boot === server.boot ? 'nothing' : stop;
  }
  if (live !== undefined) return stop;
  return end === 'stopping' ? 'note-off' : 'nothing';
}

function isStarted({ phases }: DesiredServer, nowMs: number): boolean {
  return ['starting', 'running', 'stopping'].includes(statusAt(phases, nowMs));
}
