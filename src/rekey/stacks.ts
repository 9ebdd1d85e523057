import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Fence } from '../pulumi/fence.ts';
import type { StatePassphrases } from '../pulumi/state-passphrases.ts';
import type { Secret } from '../secret.ts';
import { withStack } from './held-stack.ts';

export interface StackMoveDeps {
  database: Database;
  keyring: Keyring;
  fence: Fence;
  passphrases: StatePassphrases;
  backendUrl: Secret;
}

/** What one round over the stacks has left. */
export interface StacksLeft {
  /** Stacks under the former passphrase. */
  count: number;
  /** Why some cannot move: each with what to do. */
  problems: string[];
}

/**
 * Moves the stacks that are still under the former passphrase, one after the other. Those that an attempt has
 * now are moved by their next run, or in the next round.
 * @param onMoved called after each with how many are left
 */
export async function moveStacks(
  deps: StackMoveDeps,
  { signal, onMoved }: { signal: AbortSignal; onMoved: (left: number) => Promise<void> },
): Promise<StacksLeft> {
  const { former } = deps.keyring;
  if (former === undefined) return { count: 0, problems: [] };
  const names = await deps.passphrases.listUnder(former);
  let left = names.length;
  await onMoved(left);
  const problems: string[] = [];
  for (const name of names) {
    if (signal.aborted) break;
    const outcome = await moveStack(deps, name);
    if (outcome.isMoved) await onMoved(--left);
    else if (outcome.problem !== undefined) problems.push(outcome.problem);
  }
  return { count: left, problems };
}

async function moveStack(deps: StackMoveDeps, name: string): Promise<{ isMoved: boolean; problem?: string }> {
  const { keyring, passphrases, backendUrl } = deps;
  const { current, former } = keyring;
  let isLocked = false;
  try {
    const isHeld = await withStack({ ...deps, foundation: { backendUrl } }, name, async () => {
      isLocked = await passphrases.isLocked(name);
      if (!isLocked) await passphrases.move(name, former!, current);
    });
    if (!isLocked) return { isMoved: isHeld };
    const cure = `if no Pulumi process of yours works on it: npm run pulumi -- cancel -s ${name} --yes`;
    return { isMoved: false, problem: `The stack ${name} is locked; ${cure}` };
  } catch (error) {
    return { isMoved: false, problem: `The stack ${name} cannot be moved: ${errorMessage(error)}` };
  }
}
