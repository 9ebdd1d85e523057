import { randomUUID } from 'node:crypto';
import { PASSPHRASE, type SecretsProvider } from '../config/secrets-provider.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage, LostError } from '../errors.ts';
import type { Log } from '../log.ts';
import { Lease } from '../processes/lease.ts';
import { repeatEvery } from '../processes/repeat.ts';
import type { EngineAttempt, StackEngine } from '../pulumi/engine/stack-engine.ts';
import type { Fence } from '../pulumi/fence.ts';
import { StateKeyError } from '../pulumi/state-key-error.ts';
import type { StateStore } from '../pulumi/state-store.ts';
import { withLockRecovery } from '../runbooks/steps/recovery.ts';
import type { Secret } from '../secret.ts';
import { withStack } from './held-stack.ts';

export interface ProviderMoveDeps {
  database: Database;
  log: Log;
  fence: Fence;
  state: Pick<StateStore, 'listSecretsProviders'>;
  executor: Pick<StackEngine, 'move' | 'unlock'>;
  backendUrl: Secret;
  /** What is to encrypt the stacks, and what may have done so before. */
  secrets: Pick<SecretsProvider, 'url' | 'before'>;
}

/** Looking decodes every stack's state. */
const LOOK_SECONDS = 600;
/**
 * Pulumi's CLI needs seconds; the process that runs it ends itself at the latest then. The transaction that
 * holds the stack is ended by the database soon after (IDLE_IN_TRANSACTION_MS).
 */
const LIMIT_MS = 12_000;

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
  const failed = new Set<string>();
  const look = async () => {
    try {
      await moveProviders(deps, stopping.signal, failed);
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

/**
 * Where a key cannot be used, the others that the same provider encrypts are left for the next round.
 * @param failed the stacks that could not be moved before, kept up to date: they come last
 * @returns the names of the stacks that were moved
 */
export async function moveProviders(
  deps: ProviderMoveDeps,
  signal: AbortSignal,
  failed = new Set<string>(),
): Promise<string[]> {
  const { secrets, log } = deps;
  const movable = new Set([PASSPHRASE, secrets.before].filter((one) => one !== secrets.url));
  const providers = await deps.state.listSecretsProviders();
  const order = (name: string) => Number(failed.has(name));
  const moved: string[] = [];
  for (const [name, provider] of [...providers].sort(([one], [other]) => order(one) - order(other))) {
    if (signal.aborted) break;
    if (!movable.has(provider)) continue;
    try {
      if (await moveStack(deps, name, signal)) moved.push(name);
      failed.delete(name);
    } catch (error) {
      if (signal.aborted) break;
      failed.add(name);
      if (isOfKey(error)) movable.delete(provider);
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

/** A move that took too long is one whose key service says nothing. */
const isOfKey = (error: unknown) => error instanceof StateKeyError || error instanceof LostError;

/** Moves a stack that it holds, also one whose lock a killed move has left. */
function moveStack(deps: ProviderMoveDeps, name: string, signal: AbortSignal): Promise<boolean> {
  const { backendUrl, executor, log } = deps;
  return withStack({ ...deps, foundation: { backendUrl } }, name, async (entry) => {
    const attempt: EngineAttempt = {
      operation: { operation_id: randomUUID(), attempt: 1 },
      signal,
      lease: new Lease(Date.now() + LIMIT_MS),
      backendUrl: entry.backendUrl,
      log: (line) => log.debug({ event: 'secrets.move', stackName: name }, line),
    };
    await withLockRecovery(executor, attempt, name, () => executor.move(attempt, name));
  });
}
