import { RetryableError } from '../../errors.ts';
import type { HetznerClient } from '../../hetzner/hetzner.ts';
import type { Attempt } from '../../operations/attempt.ts';
import type { HealthCheck } from '../../tailnet/agent-health.ts';

export interface HealthDeps {
  hetzner: Pick<HetznerClient, 'getServer'>;
  health: HealthCheck;
  /** How long the agent may take to answer. */
  settings: { healthTimeoutSeconds: number };
}

const SERVER_CHECK_MS = 10_000;

/** Waits for a healthy answer as long as the server exists. @throws RetryableError */
export async function untilHealthy(
  deps: HealthDeps,
  run: Attempt,
  { serverId, tailnetIp }: { serverId: string; tailnetIp: string },
): Promise<void> {
  const gone = new AbortController();
  const checkServer = async () => {
    if ((await deps.hetzner.getServer(serverId)) === undefined)
      gone.abort(new RetryableError(`Server ${serverId} is no longer at Hetzner`));
  };
  const timer = setInterval(() => void checkServer().catch(() => {}), SERVER_CHECK_MS);
  try {
    await deps.health.untilHealthy(tailnetIp, {
      timeoutSeconds: deps.settings.healthTimeoutSeconds,
      signal: AbortSignal.any([run.signal, gone.signal]),
    });
    run.log(`healthy at ${tailnetIp}`);
  } catch (error) {
    gone.signal.throwIfAborted();
    throw error;
  } finally {
    clearInterval(timer);
  }
}
