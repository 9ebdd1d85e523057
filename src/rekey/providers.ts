import { randomUUID } from 'node:crypto';
import { PASSPHRASE, type SecretsProvider } from '../config/secrets-provider.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { Lease } from '../processes/lease.ts';
import { repeatEvery } from '../processes/repeat.ts';
import type { StackEngine } from '../pulumi/engine/stack-engine.ts';
import type { Fence } from '../pulumi/fence.ts';
import type { StateStore } from '../pulumi/state-store.ts';
import type { Secret } from '../secret.ts';
import { withStack } from './held-stack.ts';

export interface ProviderMoveDeps {
  database: Database;
  log: Log;
  fence: Fence;
  state: Pick<StateStore, 'listSecretsProviders'>;
  executor: Pick<StackEngine, 'move'>;
  backendUrl: Secret;
  /** What is to encrypt the stacks, and what may have done so before. */
  secrets: Pick<SecretsProvider, 'url' | 'before'>;
}

/** Looking decodes every stack's state. */
const LOOK_SECONDS = 600;
/** Pulumi's CLI needs seconds; the process that runs it ends itself at the latest then. */
const LIMIT_MS = 120_000;

/**
 * Moves the stacks that another secrets provider still encrypts in the background, one after the other, at
 * first at once. Those that an attempt has now move with it.
 */
export function startMovingProviders(
  deps: ProviderMoveDeps,
  lookSeconds = LOOK_SECONDS,
): { stop(): Promise<void> } {
  if (deps.secrets.url === PASSPHRASE && deps.secrets.before === undefined) return { stop: async () => {} };
  const stopping = new AbortController();
  const look = async () => {
    try {
      await moveProviders(deps, stopping.signal);
    } catch (error) {
      const text = 'could not move the stacks to the configured secrets provider';
      if (!stopping.signal.aborted)
        deps.log.warn({ event: 'secrets.move_failed', error: errorMessage(error) }, text);
    }
  };
  const first = look();
  const repeating = repeatEvery(lookSeconds, look);
  return {
    stop: async () => {
      stopping.abort(new Error('The worker is stopping'));
      await first;
      await repeating.stop();
    },
  };
}

/** @returns the names of the stacks that were moved */
export async function moveProviders(deps: ProviderMoveDeps, signal: AbortSignal): Promise<string[]> {
  const { secrets, log } = deps;
  const movable = [PASSPHRASE, secrets.before].filter((one) => one !== secrets.url);
  const providers = await deps.state.listSecretsProviders();
  const moved: string[] = [];
  for (const [name, provider] of providers) {
    if (signal.aborted) break;
    if (!movable.includes(provider)) continue;
    try {
      if (await moveStack(deps, name, signal)) moved.push(name);
    } catch (error) {
      if (signal.aborted) break;
      log.warn(
        { event: 'secrets.stack_not_moved', stackName: name, error: errorMessage(error) },
        `${name} is not moved to the configured secrets provider: it moves at its next operation`,
      );
    }
  }
  if (moved.length > 0)
    log.info({ event: 'secrets.moved', count: moved.length }, 'stacks were moved to the configured provider');
  return moved;
}

function moveStack(deps: ProviderMoveDeps, name: string, signal: AbortSignal): Promise<boolean> {
  const { backendUrl, executor, log } = deps;
  return withStack({ ...deps, foundation: { backendUrl } }, name, (entry) =>
    executor.move(
      {
        operation: { operation_id: randomUUID(), attempt: 1 },
        signal,
        lease: new Lease(Date.now() + LIMIT_MS),
        backendUrl: entry.backendUrl,
        log: (line) => log.debug({ event: 'secrets.move', stackName: name }, line),
      },
      name,
    ),
  );
}
