import { Firewall } from '@pulumi/hcloud/firewall.js';
import type * as pulumi from '@pulumi/pulumi';
import type { FoundationInputs } from './inputs.ts';

const ANYWHERE = ['0.0.0.0/0', '::/0'];
const WIREGUARD_PORT = '41641';

export interface FoundationOutputs {
  firewallId: pulumi.Output<string>;
}

/** What the agents of one Hetzner project share: a firewall that lets in nothing but WireGuard. */
export function foundationStack(
  { project }: FoundationInputs,
  found: { firewallId?: string } = {},
): FoundationOutputs {
  const firewall = new Firewall(
    'firewall',
    {
      name: `agents-${project}`,
      labels: { 'managed-by': 'agents' },
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
