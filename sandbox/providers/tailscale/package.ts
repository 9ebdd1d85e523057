import type { ProviderPackage } from '../resource.ts';
import { createTailscaleClient, type TailscaleClient, tailscaleSettings } from './client.ts';
import { getDevice } from './get-device.ts';
import { tailnetKey } from './tailnet-key.ts';

/** Replaces the official tailscale plugin. */
export const tailscalePackage: ProviderPackage<TailscaleClient> = {
  name: 'tailscale',
  version: '0.29.1',
  resources: { 'tailscale:index/tailnetKey:TailnetKey': tailnetKey },
  invokes: { 'tailscale:index/getDevice:getDevice': getDevice },
  connect: (environment, config) => createTailscaleClient(tailscaleSettings(environment, config)),
};
