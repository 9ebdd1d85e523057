import { Firewall } from '@pulumi/hcloud/firewall.js';
import type * as pulumi from '@pulumi/pulumi';
import { type FoundationInputs, firewallName } from './inputs.ts';
import { MANAGED } from './labels.ts';

const ANYWHERE = ['0.0.0.0/0', '::/0'];
const WIREGUARD_PORT = '41641';

export interface FoundationOutputs {
  firewallId: pulumi.Output<string>;
}

/** Declares what the agents of a Hetzner project share: a firewall that admits only WireGuard. */
export function foundationStack(
  { project }: FoundationInputs,
  found: { firewallId?: string } = {},
): FoundationOutputs {
  const firewall = new Firewall(
    'firewall',
    {
      name: firewallName(project),
      labels: MANAGED,
      rules: [
        {
          direction: 'in',
          protocol: 'udp',
          port: WIREGUARD_PORT,
          sourceIps: ANYWHERE,
          description: 'WireGuard: direct paths of the tailnet',
        },
      ],
    },
    found.firewallId === undefined ? {} : { import: found.firewallId },
  );
  return { firewallId: firewall.id };
}
