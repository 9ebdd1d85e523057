import { setTimeout as sleep } from 'node:timers/promises';
import { PermanentError, RetryableError } from '../../errors.ts';
import type { HetznerClient, HetznerServer } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import { assertHeld } from './recovery.ts';
import type { MarksClient } from './server-marks.ts';

export interface PowerDeps {
  hetzner: MarksClient & Pick<HetznerClient, 'powerOn' | 'shutDown' | 'powerOff'>;
  /** How long a system may take to shut down before its power is cut; default a minute. */
  shutdownSeconds?: number;
}

const SHUTDOWN_SECONDS = 60;
const POWER_CUT_SECONDS = 30;
const FIRST_LOOK_MS = 250;
const LONGEST_LOOK_MS = 2_000;

/** Switches a server off: it is asked to shut down, and its power is cut where it has not done so in time. */
export async function switchOff(
  deps: PowerDeps,
  run: Attempt,
  { id, name, status }: HetznerServer,
): Promise<void> {
  if (status === 'off') return run.log(`${name} is switched off already`);
  const seconds = deps.shutdownSeconds ?? SHUTDOWN_SECONDS;
  assertHeld(run);
  await deps.hetzner.shutDown(String(id), run.signal);
  if (await isOffWithin(deps, run, { serverId: String(id), seconds }))
    return run.log(`${name} has shut down`);
  run.log(`${name} has not shut down within ${seconds} s: cutting its power`);
  await cutPower(deps, run, { id, name });
}

/** Cuts a server's power, whatever it is doing. */
export async function cutPower(
  deps: PowerDeps,
  run: Attempt,
  { id, name }: Pick<HetznerServer, 'id' | 'name'>,
): Promise<void> {
  assertHeld(run);
  await deps.hetzner.powerOff(String(id), run.signal);
  if (await isOffWithin(deps, run, { serverId: String(id), seconds: POWER_CUT_SECONDS })) return;
  throw new RetryableError(`${name} is still on, though its power was cut ${POWER_CUT_SECONDS} s ago`);
}

/** Switches a server on that is not; what boots by itself by now is left to it. */
export async function switchOn(deps: PowerDeps, run: Attempt, { id, name }: HetznerServer): Promise<void> {
  const server = await deps.hetzner.getServer(String(id));
  if (server?.status === 'running' || server?.status === 'starting')
    return run.log(`${name} is switched on already`);
  assertHeld(run);
  await deps.hetzner.powerOn(String(id), run.signal);
  run.log(`${name} is switched on`);
}

async function isOffWithin(
  { hetzner }: PowerDeps,
  run: Attempt,
  { serverId, seconds }: { serverId: string; seconds: number },
): Promise<boolean> {
  const deadline = Date.now() + seconds * 1000;
  for (let pause = FIRST_LOOK_MS; ; pause = Math.min(pause * 2, LONGEST_LOOK_MS)) {
    const server = await hetzner.getServer(serverId);
    if (server === undefined) throw new PermanentError(`Server ${serverId} is no longer at Hetzner`);
    if (server.status === 'off') return true;
    if (Date.now() + pause > deadline) return false;
    await sleep(pause, undefined, { signal: run.signal });
  }
}
