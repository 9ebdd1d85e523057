import { CONFIGURATION_COMMAND } from './configuration.ts';
import { type AgentInputs, toServerName } from './inputs.ts';
import { AGENT_TAG } from './tailnet.ts';

/** The inputs of resources that no cloud can be asked for again, besides the stack's program for imports. */

const KEY_EXPIRY_SECONDS = 3600;

/**
 * A single-use key. It is not ephemeral, because an ephemeral device is removed while its server is stopped.
 * A used key is invalid, but the provider must not replace it.
 */
export const tailnetKeyInputs = (inputs: AgentInputs) => ({
  description: `${toServerName(inputs)} ${inputs.keyGeneration}`,
  reusable: false,
  ephemeral: false,
  preauthorized: true,
  expiry: KEY_EXPIRY_SECONDS,
  tags: [AGENT_TAG],
  recreateIfInvalid: 'never',
});

/**
 * The Ansible run. The script's path, the private key, the log file and the time limit come from the
 * environment, so that the state contains neither secrets nor this host's paths.
 */
export const configurationInputs = <Text>(
  inputs: AgentInputs,
  { serverId, tailnetIp }: { serverId: Text; tailnetIp: Text },
) => ({
  create: CONFIGURATION_COMMAND,
  environment: {
    AGENT_ID: inputs.agentId,
    AGENT_HOST: tailnetIp,
    AGENT_HEALTH_PORT: String(inputs.healthPort),
  },
  triggers: [
    serverId,
    inputs.configurationVersion,
    ...(inputs.configuredBy === undefined ? [] : [inputs.configuredBy]),
  ],
  // With logging, a very long output line hangs the provider. The script writes its own log file.
  logging: 'none' as const,
  addPreviousOutputInEnv: false,
});
