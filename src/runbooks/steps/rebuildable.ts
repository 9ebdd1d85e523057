import { setTimeout as sleep } from 'node:timers/promises';
import { PermanentError, RetryableError } from '../../errors.ts';
import type { HetznerClient, HetznerServer } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';

const WAIT_SECONDS = 60;
const LOOK_MS = 1_000;
/** In any other, Hetzner is at something. */
const AT_REST = new Set(['running', 'off']);

/**
 * Asks whether Hetzner would install the server anew, before anything of the agent is touched for it: its
 * key, its device and its power are what a refusal would cost it. What another action holds is waited for.
 * @throws PermanentError where it is protected, RetryableError where it does not come to rest.
 */
export async function untilRebuildable(
  { hetzner }: { hetzner: Pick<HetznerClient, 'getServer'> },
  run: Attempt,
  server: HetznerServer,
): Promise<void> {
  const deadline = Date.now() + WAIT_SECONDS * 1000;
  for (let now: HetznerServer | undefined = server; ; now = await hetzner.getServer(String(server.id))) {
    if (now === undefined) throw new RetryableError(`Server ${server.id} has gone while it was waited for`);
    const { name, protection, locked, status } = now;
    // Hetzner keeps the two alike; who forbids the one has a disk to lose.
    if (protection.rebuild || protection.delete)
      throw new PermanentError(
        `${name} is protected at Hetzner from being rebuilt or deleted, and nothing has been touched: take the protection away there, then ask again`,
      );
    if (!locked && AT_REST.has(status)) return;
    const why = locked ? 'is locked by another action' : `is ${status}`;
    if (Date.now() > deadline)
      throw new RetryableError(`${name} ${why} at Hetzner for more than ${WAIT_SECONDS} s`);
    await sleep(LOOK_MS, undefined, { signal: run.signal });
  }
}
