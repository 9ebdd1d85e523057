import { Secret } from '../secret.ts';
import type { TailscaleClient } from './tailscale.ts';

export const CONTROLLER_TAG = 'tag:controller';
const KEY_EXPIRY_SECONDS = 600;

/**
 * Creates a single-use key for a controller with this name. If the controller has lost its state, its earlier
 * device is deleted by the recorded id, so that stale devices do not pile up. Any other device with the same
 * name may belong to another installation and stays.
 */
export async function makeControllerKey(
  tailscale: TailscaleClient,
  { hostname, ephemeral, formerId }: { hostname: string; ephemeral: boolean; formerId: string | undefined },
): Promise<Secret> {
  const former = formerId === undefined ? undefined : await tailscale.getDevice(formerId);
  if (former?.tags?.includes(CONTROLLER_TAG)) await tailscale.deleteDevice(former.nodeId);
  return new Secret(
    await tailscale.createKey({
      description: hostname,
      expirySeconds: KEY_EXPIRY_SECONDS,
      tags: [CONTROLLER_TAG],
      ephemeral,
    }),
  );
}
