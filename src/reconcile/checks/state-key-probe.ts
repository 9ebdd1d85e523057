import { type SecretsProvider, versionProblem } from '../../config/secrets-provider.ts';
import { STATE_KEY_CURE } from '../../operations/cures.ts';
import { StateKeyError } from '../../pulumi/state-key-error.ts';
import { type KeyUse, tryStateKey } from '../../pulumi/try-state-key.ts';
import { MisconfiguredError, nothing, type Probe } from './probe.ts';

/** Each try starts Pulumi's CLI, and a key service may charge for it. */
const GOOD_FOR_SECONDS = 300;
const BAD_FOR_SECONDS = 30;

/**
 * Whether the configured key encrypts and decrypts. It holds no operation back: each waits by itself, and
 * those on stacks that another provider still encrypts, and the removal of servers, need not.
 */
export function stateKeyProbe(use: Omit<KeyUse, 'url'> & { secrets: SecretsProvider }): Probe {
  const url = use.secrets.url;
  let known: { until: number; problem: Error | undefined } | undefined;
  return {
    name: 'state-key',
    blocks: nothing,
    cure: STATE_KEY_CURE,
    look: async () => {
      if (known === undefined || performance.now() >= known.until) {
        const problem = await findProblem({ ...use, url });
        const seconds = problem === undefined ? GOOD_FOR_SECONDS : BAD_FOR_SECONDS;
        known = { until: performance.now() + seconds * 1000, problem };
      }
      if (known.problem !== undefined) throw known.problem;
      return 'the key of the state encrypts and decrypts';
    },
  };
}

async function findProblem(use: KeyUse & { secrets: SecretsProvider }): Promise<Error | undefined> {
  try {
    await tryStateKey(use);
    const unversioned = versionProblem(use.url);
    return unversioned && new MisconfiguredError(unversioned.detail, unversioned.cure);
  } catch (error) {
    if (error instanceof StateKeyError) return new MisconfiguredError(error.message, STATE_KEY_CURE);
    return error instanceof Error ? error : new Error(String(error));
  }
}
