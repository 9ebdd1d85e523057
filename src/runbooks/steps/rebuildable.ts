import { PermanentError, RetryableError } from '../../errors.ts';
import type { HetznerClient, Server } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import { poll } from '../../processes/poll.ts';

const WAIT_SECONDS = 60;
const INTERVAL_MS = 1_000;
/** In any other status, Hetzner is changing the server. */
const AT_REST = new Set(['running', 'off']);

/**
 * Waits until Hetzner would accept a rebuild, i.e. until other actions on the server have ended. Called
 * before its key, device or power is touched, so that a refusal leaves the agent working.
 * @throws PermanentError if the server is protected
 * @throws RetryableError if it stays busy
 */
export async function untilRebuildable(
  { hetzner }: { hetzner: Pick<HetznerClient, 'getServer'> },
  run: Attempt,
  server: Server,
): Promise<void> {
  let known: Server | undefined = server;
  let why = '';
  const isReady = async () => {
    const now = known ?? (await hetzner.getServer(server.id));
    known = undefined;
    if (now === undefined)
      throw new RetryableError(`Server ${server.id} disappeared during the wait for other actions`);
    if (now.isProtected)
      throw new PermanentError(
        `${now.name} is protected at Hetzner against rebuild and delete; nothing has been touched. Remove the protection there, then request it again`,
      );
    why = now.isLocked ? 'is locked by another action' : `is ${now.status}`;
    return (!now.isLocked && AT_REST.has(now.status)) || undefined;
  };
  const polling = { intervalMs: INTERVAL_MS, timeoutMs: WAIT_SECONDS * 1000, signal: run.signal };
  if ((await poll(isReady, polling)) === undefined)
    throw new RetryableError(`${server.name} ${why} at Hetzner for more than ${WAIT_SECONDS} s`);
}
