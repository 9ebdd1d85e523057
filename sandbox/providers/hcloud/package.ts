import type { ProviderPackage } from '../resource.ts';
import { createHcloudClient, type HcloudClient, hcloudSettings } from './client.ts';
import { firewall } from './firewall.ts';
import { server } from './server.ts';
import { sshKey } from './ssh-key.ts';

/** Replaces the official hcloud plugin. */
export const hcloudPackage: ProviderPackage<HcloudClient> = {
  name: 'hcloud',
  version: '1.41.0',
  resources: {
    'hcloud:index/sshKey:SshKey': sshKey,
    'hcloud:index/firewall:Firewall': firewall,
    'hcloud:index/server:Server': server,
  },
  invokes: {},
  connect: (environment, config) => createHcloudClient(hcloudSettings(environment, config)),
};
