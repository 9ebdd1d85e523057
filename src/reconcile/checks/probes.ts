import { tokenVariable } from '../../config/hetzner-projects.ts';
import type { Database } from '../../database/connect.ts';
import type { HetznerClient } from '../../hetzner/hetzner.ts';
import { RefusedError } from '../../http-client/request.ts';
import { findOperation } from '../../operations/registry.ts';
import { findPlugins, type PluginLocations } from '../../pulumi/installed-plugins.ts';
import type { Secret } from '../../secret.ts';
import { AccountHiddenError, readStripeAccount } from '../../stripe/account.ts';
import type { TailnetNode } from '../../tailnet/node.ts';
import { routesToTailnet } from '../../tailnet/routes.ts';
import { type TailscaleClient, UnknownTailnetError } from '../../tailscale/tailscale.ts';
import { assertOurProject, OtherProjectError } from '../project.ts';
import { type CheckedProject, MisconfiguredError, ofProject, type Probe } from './probe.ts';

const everything = () => true;

export function hetznerProbe(
  deps: { database: Database; hetzner: Pick<HetznerClient, 'findFirewall' | 'listServers'> },
  checked: CheckedProject,
): Probe {
  const { project, isOneOfSeveral } = checked;
  return {
    name: ofProject('hetzner', checked),
    project: isOneOfSeveral ? project : undefined,
    blocks: everything,
    cure: `Set ${tokenVariable(project)} to a read and write token of the agents’ project, and start the service again.${isOneOfSeveral ? ` Until then what is in the project ${project} waits, and nothing else.` : ''}`,
    look: async () => {
      try {
        await assertOurProject({ ...deps, project });
      } catch (error) {
        if (!(error instanceof OtherProjectError)) throw error;
        throw new MisconfiguredError(
          error.message,
          'Start with a token of the agents’ own project; if it is already that one, follow the instruction above.',
        );
      }
      return 'the token is accepted';
    },
  };
}

const TAILSCALE_CURE =
  'Set TAILSCALE_OAUTH_CLIENT_ID and _SECRET to an OAuth client with auth_keys and devices:core (write), or TAILSCALE_API_KEY, and start ' +
  'the service again.';
/** An id that no device has. */
const NO_DEVICE = '0';

export function tailscaleProbe(tailscale: Pick<TailscaleClient, 'listKeys' | 'hasDevice'>): Probe {
  return {
    name: 'tailscale',
    blocks: everything,
    cure: TAILSCALE_CURE,
    look: async () => {
      try {
        await tailscale.listKeys();
      } catch (error) {
        if (error instanceof RefusedError && error.status === 403)
          throw new MisconfiguredError('the OAuth client lacks the scope auth_keys', TAILSCALE_CURE);
        if (!(error instanceof UnknownTailnetError)) throw error;
        throw new MisconfiguredError(
          error.message,
          'Set TAILSCALE_TAILNET to the tailnet’s name, or leave it out.',
        );
      }
      // A list of devices grows with the fleet. Asking for a missing one is cheap and needs the same
      // permission.
      await tailscale.hasDevice(NO_DEVICE).catch((error: unknown) => {
        if (!(error instanceof RefusedError && error.status === 403)) throw error;
        throw new MisconfiguredError('the OAuth client lacks the scope devices:core', TAILSCALE_CURE);
      });
      return 'the credential is accepted';
    },
  };
}

const JOIN_CURE =
  'On the host’s own tailscaled: tailscale up --advertise-tags=tag:controller. Otherwise the log says why this worker cannot join ' +
  '(tailnet.join_failed): the OAuth client needs tag:controller.';
const INSTALL_CURE =
  'Install tailscale and tailscaled here, or let the host join with tailscale up --advertise-tags=tag:controller; then start the service again.';

/** `node`: the node through which this worker reaches agents; undefined if it has only the host's network. */
export function tailnetProbe(node: Pick<TailnetNode, 'isUp'> | undefined): Probe {
  return {
    name: 'tailnet',
    blocks: (kind) => findOperation(kind)?.needsRoute ?? true,
    cure: JOIN_CURE,
    // Our own node joins in the background.
    settles: node !== undefined,
    look: async () => {
      if (node === undefined && (await routesToTailnet())) return 'this host routes to the tailnet';
      if (node === undefined)
        throw new MisconfiguredError(
          'this worker cannot reach the tailnet: no tailscaled runs here and none is installed',
          INSTALL_CURE,
        );
      if (await node.isUp()) return 'this worker is on the tailnet';
      throw new MisconfiguredError('this worker is not on the tailnet now', JOIN_CURE);
    },
  };
}

export function pluginsProbe(locations: PluginLocations): Probe {
  return {
    name: 'plugins',
    blocks: everything,
    cure: '',
    look: async () => {
      const { missing, folder } = findPlugins(locations);
      if (missing.length === 0) return 'all provider plugins are installed';
      const names = missing.map(({ name, version }) => `${name} ${version}`).join(', ');
      throw new MisconfiguredError(
        `Pulumi’s provider plugins are missing: ${names} (looked in ${folder} and on PATH)`,
        missing.map(({ name, version }) => `pulumi plugin install resource ${name} ${version}`).join('; '),
      );
    },
  };
}

/** No operation waits for Stripe: orders come from its events. */
export function stripeProbe(stripe: { secretKey: Secret; apiUrl: string | undefined }): Probe {
  return {
    name: 'stripe',
    blocks: () => false,
    cure: 'Set STRIPE_SECRET_KEY to a key that Stripe shows under Developers → API keys, and start the service again.',
    look: async () => {
      try {
        return `the key belongs to ${await readStripeAccount(stripe)}`;
      } catch (error) {
        if (!(error instanceof AccountHiddenError)) throw error;
        return 'the key is accepted; it has no permission to read its account';
      }
    },
  };
}
