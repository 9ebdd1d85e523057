import type { Vault } from '../agents/secrets.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Repeating, repeatEvery } from '../processes/repeat.ts';
import { listWaitingSlots, type WaitingSlot } from '../slots/waiting.ts';
import type { SshHandOver, WaitingServer } from '../tailnet/ssh-hand-over.ts';

const LOOK_SECONDS = 1;

/** Keeps a path open from this worker to every slot that waits, so that a claim need not open one. */
export function startOpenPaths(
  deps: { database: Database; vault: Vault; log: Log },
  { keepOpen }: Pick<SshHandOver, 'keepOpen'>,
): Repeating {
  const { database, vault, log } = deps;
  return repeatEvery(LOOK_SECONDS, async () => {
    try {
      keepOpen((await listWaitingSlots(database)).map((slot) => toServer(vault, slot)));
    } catch (error) {
      log.warn(
        { event: 'pool.paths_failed', error: errorMessage(error) },
        'could not keep the paths to slots',
      );
    }
  });
}

/** A slot was configured once, so it shows the second of its host keys. */
function toServer(vault: Vault, { slotId, tailnetIp, isReady, secrets }: WaitingSlot): WaitingServer {
  const login = () => {
    const { sshPrivateKey, nextHostPublicKey } = vault.open(slotId, secrets);
    return { sshPrivateKey, hostPublicKeys: [nextHostPublicKey] };
  };
  return { tailnetIp, isReady, login };
}
