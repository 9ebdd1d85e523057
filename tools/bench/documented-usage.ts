import type { SandboxFile } from '../../sandbox/host/sandbox-file.ts';
import { serverFor } from '../../src/agents/plans.ts';
import { type AgentKeys, generateAgentKeys } from '../../src/agents/secrets.ts';
import { HEALTH_PORT } from '../../src/connections/connections.ts';
import { configureEnvironment } from '../../src/pulumi/engine/configure-environment.ts';
import { Secret } from '../../src/secret.ts';
import { createTailscaleClient } from '../../src/tailscale/tailscale.ts';
import { agentName } from '../../stacks/inputs.ts';
import type { StackProgram } from '../../stacks/program.ts';
import type { DocumentedClient } from './documented/client.ts';
import type { Manner } from './documented/messages.ts';
import type { Side } from './side.ts';

export interface DocumentedDeps {
  client: DocumentedClient;
  sandbox: SandboxFile;
  /** Facts that the service discovered and also gives its own agents. */
  shared: { firewallId: number; location: string; plan: string; configurationVersion: string };
  configure: { path: string; ansibleBin: string | undefined; logDir: string };
  /** Folder for the CLI's own files, to leave the user's alone. */
  pulumiHome: string;
}

/**
 * The documented usage, on the service's own sandbox, state database and passphrase, with the inputs that the
 * service would use. A provision ends when `up` returns the outputs; it checks no health and writes no rows.
 */
export function documentedUsage(deps: DocumentedDeps, manner: Manner): Side {
  const { client } = deps;
  const names = new Set<string>();
  return {
    name: manner === 'calls' ? 'as documented' : 'documented example',
    provision: async (agentId) => {
      const keys = generateAgentKeys(agentId);
      names.add(agentName(agentId));
      const outputs = await client.run({
        verb: 'provision',
        manner,
        stackName: agentName(agentId),
        program: programFor(deps, agentId, keys),
        environment: environmentFor(deps, agentId, keys),
      });
      if (!String(outputs.tailnetIp).startsWith('100.'))
        throw new Error(`The documented usage returned no tailnet address: ${JSON.stringify(outputs)}`);
    },
    destroy: async (agentId) => {
      await client.run({ verb: 'destroy', manner, stackName: agentName(agentId) });
    },
    tidy: () => removeDevices(deps.sandbox, names),
  };
}

function programFor({ shared }: DocumentedDeps, agentId: string, keys: AgentKeys): StackProgram {
  return {
    stack: 'agent',
    inputs: {
      agentId,
      operationId: crypto.randomUUID(),
      project: 'default',
      location: shared.location,
      ...serverFor(shared.plan, shared.location),
      firewallId: shared.firewallId,
      sshPublicKey: keys.sshPublicKey,
      hostPublicKey: keys.hostPublicKey,
      keyGeneration: 1,
      healthPort: HEALTH_PORT,
      configurationVersion: shared.configurationVersion,
      joinTimeoutSeconds: 180,
    },
    secrets: { hostPrivateKey: keys.hostPrivateKey },
  };
}

/**
 * Backend and credentials in the environment, as documented. No setting makes the CLI faster, apart from two
 * that keep it off the network.
 */
function environmentFor(
  { sandbox, configure, pulumiHome }: DocumentedDeps,
  agentId: string,
  keys: AgentKeys,
): Record<string, string> {
  return {
    PULUMI_BACKEND_URL: sandbox.pulumiBackendUrl,
    PULUMI_CONFIG_PASSPHRASE: sandbox.pulumiPassphrase,
    PULUMI_HOME: pulumiHome,
    PULUMI_SKIP_UPDATE_CHECK: 'true',
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
    HCLOUD_TOKEN: sandbox.hcloudToken,
    HCLOUD_ENDPOINT: sandbox.hcloudEndpoint,
    TAILSCALE_API_KEY: sandbox.tailscaleApiKey,
    TAILSCALE_BASE_URL: sandbox.tailscaleBaseUrl,
    TAILSCALE_TAILNET: '-',
    ...configureEnvironment(
      { ...configure, connection: 'simulated', timeoutSeconds: 900, software: {} },
      { operation: { operation_id: agentId, attempt: 1 } },
      keys,
    ),
  };
}

/** Devices belong to no stack, so a destroy leaves them, and they would make every later list longer. */
async function removeDevices(sandbox: SandboxFile, names: Set<string>): Promise<void> {
  const tailscale = createTailscaleClient({
    credential: { kind: 'api-key', key: new Secret(sandbox.tailscaleApiKey) },
    tailnet: '-',
    baseUrl: sandbox.tailscaleBaseUrl,
    loginServer: undefined,
  });
  for (const device of await tailscale.listDevices())
    if (names.has(device.hostname)) await tailscale.deleteDevice(device.nodeId);
  names.clear();
}
