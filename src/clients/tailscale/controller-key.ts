import { Secret } from '../../secret.ts';
import type { TailscaleClient } from './tailscale.ts';

export const CONTROLLER_TAG = 'tag:controller';
const KEY_EXPIRY_SECONDS = 600;

/**
 * A key with which a controller of this name joins, once. What was called so before was itself, before it lost its state: it is removed, lest
 * the tailnet fills with what is gone.
 */
export async function makeControllerKey(
  tailscale: TailscaleClient,
  { hostname, ephemeral }: { hostname: string; ephemeral: boolean },
): Promise<Secret> {
  for (const device of await tailscale.listDevices()) {
    if (device.hostname === hostname && device.tags?.includes(CONTROLLER_TAG))
      await tailscale.deleteDevice(device.id);
  }
  return new Secret(
    await tailscale.createKey({
      description: hostname,
      expirySeconds: KEY_EXPIRY_SECONDS,
      tags: [CONTROLLER_TAG],
      ephemeral,
    }),
  );
}
