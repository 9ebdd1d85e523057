import { createHash } from 'node:crypto';
import type { AgentInputs } from '../../stacks/inputs.ts';

/** The inputs that a provision would record for an agent's stack. */
export function agentInputs(agentId: string): AgentInputs {
  return {
    agentId,
    operationId: '5b0f9d9e-6c51-4f0e-8f3f-0c3b8f1d2a77',
    project: 'default',
    location: 'nbg1',
    serverType: 'cx23',
    image: 'debian-12',
    firewallId: 77,
    sshPublicKey: 'ssh-ed25519 AAAA agents',
    hostPublicKey: 'ssh-ed25519 BBBB host',
    keyGeneration: 1,
    joinName: `join-${createHash('sha256').update(agentId).digest('hex').slice(0, 32)}`,
    healthPort: 8088,
    configurationVersion: 'v1',
    joinTimeoutSeconds: 180,
  };
}
