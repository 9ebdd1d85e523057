import { AGENT_TAG } from '../../../stacks/tailnet.ts';
import { HttpError, RefusedError } from '../../http-client/request.ts';
import { CONTROLLER_TAG } from '../../tailscale/controller-key.ts';
import type { PolicyClient, PolicyTest } from '../../tailscale/policy.ts';
import type { TailscaleClient } from '../../tailscale/tailscale.ts';
import { MisconfiguredError, nothing, type Probe } from './probe.ts';

const SCOPE_CURE =
  'In Tailscale’s console (Settings → Trust credentials) make an OAuth client with auth_keys and devices:core, both with write, and the tag ' +
  'tag:controller; set TAILSCALE_OAUTH_CLIENT_ID and _SECRET to it.';

/** `missing`: the scopes that the credential lacks; undefined where nothing tells. */
export function scopesProbe(missing: () => Promise<string[] | undefined>): Probe {
  return {
    name: 'tailscale-scopes',
    blocks: () => true,
    cure: SCOPE_CURE,
    look: async () => {
      const lacking = await missing();
      if (lacking === undefined) return 'an API key may do what its owner may';
      if (lacking.length === 0) return 'the OAuth client may write keys and devices';
      throw new MisconfiguredError(`The OAuth client lacks the scope ${lacking.join(' and ')}`, SCOPE_CURE);
    },
  };
}

const TAG_CURE =
  'The policy’s tagOwners must define the tags, and the OAuth client must have tag:controller, which owns tag:agent: ' +
  'npm run agents -- init --only policy';

/** A key that nobody learns of, in case its deletion is lost. */
const KEY = { description: 'agent-stacks doctor', expirySeconds: 60, ephemeral: true };

/**
 * Makes a key with the tags, as an order would, and deletes it at once. Nothing else tells whether it may.
 */
export function tagsProbe(tailscale: Pick<TailscaleClient, 'createKey' | 'listKeys' | 'deleteKey'>): Probe {
  const mayUse = async (tag: string) => {
    try {
      await tailscale.createKey({ ...KEY, tags: [tag] });
      return true;
    } catch (error) {
      if (error instanceof HttpError && error.status === 400) return false;
      throw error;
    }
  };
  return {
    name: 'tailnet-tags',
    blocks: () => true,
    cure: SCOPE_CURE,
    look: async () => {
      const tags = [AGENT_TAG, CONTROLLER_TAG];
      const allowed = await Promise.all(tags.map(mayUse));
      for (const { id, description } of await tailscale.listKeys())
        if (description === KEY.description) await tailscale.deleteKey(id);
      const refused = tags.filter((_tag, at) => !allowed[at]);
      if (refused.length === 0) return `keys with ${tags.join(' and ')} can be made`;
      throw new MisconfiguredError(
        `The credential may not use ${refused.join(' and ')}: the tag does not exist, or is not its own`,
        TAG_CURE,
      );
    },
  };
}

const POLICY_CURE =
  'npm run agents -- init --only policy, or paste docs/tailnet-policy.hujson under Access controls.';

/** Runs this project’s own tests of the policy against the one in force. */
export function policyProbe(
  policy: Pick<PolicyClient, 'test'>,
  readTests: () => Promise<readonly PolicyTest[]>,
): Probe {
  return {
    name: 'tailnet-policy',
    blocks: nothing,
    cure: POLICY_CURE,
    look: async () => {
      const failures = await readTests()
        .then((tests) => policy.test(tests))
        .catch((error: unknown) => {
          if (error instanceof RefusedError && error.status === 403) return undefined;
          throw error;
        });
      if (failures === undefined)
        return 'the credential may not test the policy (scope policy_file:read): compare it with docs/tailnet-policy.hujson';
      if (failures.length === 0) return 'controllers reach agents, and agents reach nothing';
      throw new MisconfiguredError(`The tailnet’s policy is not right: ${failures.join('; ')}`, POLICY_CURE);
    },
  };
}
