import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Command } from '@pulumi/command/local/command.js';
import { Firewall } from '@pulumi/hcloud/firewall.js';
import { Server } from '@pulumi/hcloud/server.js';
import { SshKey } from '@pulumi/hcloud/sshKey.js';
import * as pulumi from '@pulumi/pulumi';
import { PulumiCommand } from '@pulumi/pulumi/automation/cmd.js';
import { LocalWorkspace } from '@pulumi/pulumi/automation/localWorkspace.js';
import { getDeviceOutput } from '@pulumi/tailscale/getDevice.js';
import { TailnetKey } from '@pulumi/tailscale/tailnetKey.js';
import type { ProviderHost } from '../../../sandbox/providers/host.ts';

/** The CLI from the set-up, otherwise the one on the PATH. */
export function findPulumi(): string | undefined {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'pulumi'));
  return [process.env.AGENT_STACKS_PULUMI ?? '', ...onPath].find((path) => path !== '' && existsSync(path));
}

export interface AgentInputs {
  labels: Record<string, string>;
  trigger: string;
  userData: string;
  canary: string;
  command: string;
  /** The id of an existing server to import. */
  importServer?: string;
}

/** Opens a stack shaped like our agents' stacks, on the two fake services. */
export async function openAgentStack(
  host: ProviderHost,
  services: { environment: Record<string, string>; pulumi: string },
) {
  const folder = await mkdtemp(join(tmpdir(), 'providers-'));
  for (const name of ['bin', 'work', 'state', 'home']) await mkdir(join(folder, name));
  await symlink(services.pulumi, join(folder, 'bin', 'pulumi'));
  host.use(services.environment);
  let inputs: AgentInputs;
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName: 'agent-a1', projectName: 'agents', program: async () => agentProgram(inputs) },
    {
      workDir: join(folder, 'work'),
      pulumiHome: join(folder, 'home'),
      pulumiCommand: await PulumiCommand.get({ root: folder, skipVersionCheck: true }),
      envVars: {
        PULUMI_BACKEND_URL: `file://${join(folder, 'state')}`,
        PULUMI_CONFIG_PASSPHRASE: 'test',
        PULUMI_DEBUG_PROVIDERS: host.debugProviders,
        PULUMI_SKIP_UPDATE_CHECK: 'true',
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
      },
    },
  );
  return {
    stack,
    folder,
    stateFile: () => readFile(join(folder, 'state/.pulumi/stacks/agents/agent-a1.json'), 'utf8'),
    async up(given: AgentInputs) {
      inputs = given;
      return stack.up(quiet);
    },
    /** Removes resources from the state, as if a crash had come before they were recorded. */
    async forget(names: string[]) {
      const exported = await stack.exportStack();
      const isKept = ({ urn }: { urn: string }) => !names.some((name) => urn.endsWith(`::${name}`));
      exported.deployment.resources = exported.deployment.resources.filter(isKept);
      await stack.importStack(exported);
    },
    async preview(given: AgentInputs, options: { expectNoChanges?: boolean } = {}) {
      inputs = given;
      return stack.preview({ ...quiet, ...options });
    },
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const quiet = { suppressProgress: true, color: 'never', onOutput: () => {} } as const;

function agentProgram(inputs: AgentInputs) {
  const { labels } = inputs;
  const firewall = new Firewall('firewall', {
    name: 'agents-default',
    labels,
    rules: [{ direction: 'in', protocol: 'udp', port: '41641', sourceIps: ['0.0.0.0/0', '::/0'] }],
  });
  const sshKey = new SshKey('key', {
    name: 'agent-a1',
    publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJAkSvCVEitPeGFjWHY5WIg6vXL6WXodmMWmPPVKfPnQ agent',
    labels,
  });
  const tailnetKey = new TailnetKey('tailnet-key', {
    reusable: false,
    ephemeral: false,
    preauthorized: true,
    expiry: 3600,
    tags: ['tag:agent'],
    description: 'agent-a1 1',
    recreateIfInvalid: 'never',
  });
  const server = new Server(
    'server',
    {
      name: 'agent-a1',
      serverType: 'cx23',
      image: 'debian-12',
      location: 'fsn1',
      sshKeys: [sshKey.id],
      userData: pulumi.interpolate`${inputs.userData}${tailnetKey.key}\n`,
      labels,
      firewallIds: [firewall.id.apply(Number)],
      publicNets: [{ ipv4Enabled: true, ipv6Enabled: true }],
    },
    {
      ignoreChanges: ['userData', 'sshKeys', 'image'],
      ...(inputs.importServer === undefined ? {} : { import: inputs.importServer }),
    },
  );
  const device = getDeviceOutput({ hostname: server.name, waitFor: '10s' }, { dependsOn: [server] });
  const configure = new Command('configure', {
    create: inputs.command,
    environment: {
      SECRET: pulumi.secret(inputs.canary),
      ADDRESS: device.addresses.apply(([first]) => first!),
    },
    triggers: [inputs.trigger],
    logging: 'none',
  });
  return {
    serverId: server.id,
    ipv4: server.ipv4Address,
    ipv6: server.ipv6Address,
    tailnetIp: device.addresses.apply(([first]) => first),
    said: configure.stdout,
  };
}
