import commandPackage from '@pulumi/command/package.json' with { type: 'json' };
import hcloudPackage from '@pulumi/hcloud/package.json' with { type: 'json' };
import tailscalePackage from '@pulumi/tailscale/package.json' with { type: 'json' };
import { agentName } from '../../stacks/inputs.ts';
import type { AgentProgram } from '../../stacks/program.ts';
import { configurationInputs, tailnetKeyInputs } from '../../stacks/resource-inputs.ts';
import type { SeedResource } from './state-store.ts';

const PROJECT = 'agents';

/** What no cloud can be asked for: the key that its device has used up, and that its server is configured. */
export interface Known {
  /** Tailscale's id of the key; any text if it no longer has the key. */
  tailnetKeyId: string;
  /** Undefined while the agent is hibernated. */
  serverId: string | undefined;
}

/**
 * Returns the resources that a stack begins with into which the rest is imported. The key's secret is worth
 * nothing any more and is left out, so that no text in them has to be encrypted.
 */
export function toSeed({ inputs, device }: AgentProgram, { tailnetKeyId, serverId }: Known): SeedResource[] {
  const at = createUrns(agentName(inputs.agentId));
  const key = tailnetKeyInputs(inputs);
  const configured =
    serverId === undefined || device === undefined
      ? undefined
      : configurationInputs(inputs, { serverId, tailnetIp: device.tailnetIp });
  return [
    { urn: at.stack, custom: false, type: 'pulumi:pulumi:Stack' },
    at.defaultProvider('tailscale', tailscalePackage.version),
    ...(inputs.pollInterval === undefined ? [] : [at.hetzner(inputs.pollInterval)]),
    {
      ...at.resource('tailscale:index/tailnetKey:TailnetKey', 'tailnet-key', tailscalePackage.version),
      id: tailnetKeyId,
      inputs: { __defaults: [], ...key },
      outputs: { ...key, id: tailnetKeyId, invalid: true },
      additionalSecretOutputs: ['key'],
    },
    ...(configured === undefined
      ? []
      : [
          at.defaultProvider('command', commandPackage.version),
          {
            ...at.resource('command:local:Command', 'configuration', commandPackage.version),
            id: `imported-${inputs.agentId}`,
            inputs: configured,
            outputs: { ...configured, stdout: '', stderr: '' },
          },
        ]),
  ];
}

/** The ids of providers in the state mean nothing outside of it. */
const PROVIDER_ID = '00000000-0000-4000-8000-000000000001';

function createUrns(stackName: string) {
  const urn = (type: string, name: string) => `urn:pulumi:${stackName}::${PROJECT}::${type}::${name}`;
  const stack = urn('pulumi:pulumi:Stack', `${PROJECT}-${stackName}`);
  const provider = (name: string, version: string) =>
    urn(`pulumi:providers:${name}`, `default_${version.replaceAll('.', '_')}`);
  return {
    stack,
    defaultProvider: (name: string, version: string): SeedResource => ({
      urn: provider(name, version),
      custom: true,
      id: PROVIDER_ID,
      type: `pulumi:providers:${name}`,
      inputs: { __internal: {}, version },
      outputs: { version },
    }),
    hetzner: (pollInterval: string): SeedResource => {
      const settings = { pollInterval, version: hcloudPackage.version };
      return {
        urn: urn('pulumi:providers:hcloud', 'hcloud'),
        custom: true,
        id: PROVIDER_ID,
        type: 'pulumi:providers:hcloud',
        parent: stack,
        inputs: { __internal: {}, ...settings },
        outputs: settings,
      };
    },
    resource: (type: string, name: string, version: string) => ({
      urn: urn(type, name),
      custom: true,
      type,
      parent: stack,
      provider: `${provider(type.split(':')[0]!, version)}::${PROVIDER_ID}`,
    }),
  };
}
