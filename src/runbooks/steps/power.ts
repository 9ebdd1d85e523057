import { PermanentError, RetryableError } from '../../errors.ts';
import type { HetznerClient, Server } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import { poll } from '../../processes/poll.ts';
import { assertHeld } from './recovery.ts';
import type { AttributesClient } from './server-attributes.ts';

export interface PowerDeps {
  hetzner: AttributesClient & Pick<HetznerClient, 'powerOn' | 'shutDown' | 'powerOff'>;
  /** How long a system may take to shut down before its power is cut; default a minute. */
  shutdownSeconds?: number;
}

const SHUTDOWN_SECONDS = 60;
const POWER_CUT_SECONDS = 30;
const PAUSES = { intervalMs: 250, longestIntervalMs: 2_000 };

/** Shuts a server down, and cuts its power if it does not shut down in time. */
export async function switchOff(deps: PowerDeps, run: Attempt, { id, name, status }: Server): Promise<void> {
  if (status === 'off') return run.log(`${name} is already off`);
  const seconds = deps.shutdownSeconds ?? SHUTDOWN_SECONDS;
  assertHeld(run);
  await deps.hetzner.shutDown(id, run.signal);
  if (await isOffWithin(deps, run, { serverId: id, seconds })) return run.log(`${name} has shut down`);
  run.log(`${name} has not shut down within ${seconds} s: cutting its power`);
  await cutPower(deps, run, { id, name });
}

export async function cutPower(
  deps: PowerDeps,
  run: Attempt,
  { id, name }: Pick<Server, 'id' | 'name'>,
): Promise<void> {
  assertHeld(run);
  await deps.hetzner.powerOff(id, run.signal);
  if (await isOffWithin(deps, run, { serverId: id, seconds: POWER_CUT_SECONDS })) return;
  throw new RetryableError(`${name} is still on ${POWER_CUT_SECONDS} s after its power was cut`);
}

/** Switches a server on, unless it is running or booting. */
export async function switchOn(deps: PowerDeps, run: Attempt, { id, name }: Server): Promise<void> {
  const server = await deps.hetzner.getServer(id);
  if (server?.status === 'running' || server?.status === 'starting') return run.log(`${name} is already on`);
  assertHeld(run);
  await deps.hetzner.powerOn(id, run.signal);
  run.log(`${name} is switched on`);
}

async function isOffWithin(
  { hetzner }: PowerDeps,
  run: Attempt,
  { serverId, seconds }: { serverId: string; seconds: number },
): Promise<boolean> {
  const isOff = async () => {
    const server = await hetzner.getServer(serverId);
    if (server === undefined) throw new PermanentError(`Server ${serverId} is no longer at Hetzner`);
    return server.status === 'off' || undefined;
  };
  return (await poll(isOff, { ...PAUSES, timeoutMs: seconds * 1000, signal: run.signal })) === true;
}
