import { z } from 'zod';
import { agentOutputsSchema } from '../agents/outputs.ts';
import { HEALTHS, type Health } from '../agents/states.ts';
import { recordRefresh, recordUnhealthy } from '../agents/store.ts';
import type { Attempt } from '../operations/attempt.ts';
import { errorText } from '../operations/effects.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { DeviceMissingError, type PresentDevice, presentDevice } from './steps/device.ts';
import { recordedServer } from './steps/own-server.ts';
import { bringUpToDate } from './steps/recovery.ts';
import { restoreAttributes } from './steps/server-attributes.ts';

const effect = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('refreshed'), outputs: agentOutputsSchema, health: z.enum(HEALTHS) }),
  z.object({ kind: z.literal('unhealthy'), error: errorText }),
]);

/**
 * Looks at what really is: the stack's state is brought up to date, the addresses and the health are
 * recorded.
 */
export const refresh = defineOperation<z.infer<typeof effect>>({
  kind: 'refresh',
  rank: 60,
  from: ['running', 'stopped', 'suspended'],
  priority: -1,
  limitSeconds: 10 * 60,
  effect,
  succeed: (trx, agentId, effect) =>
    effect.kind === 'refreshed'
      ? recordRefresh(trx, agentId, effect)
      : recordUnhealthy(trx, agentId, effect.error),
  reported: () => ({ kind: 'none' }),
  lastFailure: ({ trx, agentId, error }) => recordUnhealthy(trx, agentId, error),
  // It has found out nothing.
  cancel: async () => {},
  cli: 'check its resources and its health',
  isOnList: true,
  run: (parts) => async (attempt) => {
    const { agent } = attempt;
    attempt.step('refreshing');
    // Before the state is brought up to date: it is to know the server as it should be.
    const found = await recordedServer(parts.hetzner, agent);
    const unmended = found && (await restoreAttributes(parts, attempt, found));
    await bringUpToDate(parts.executor, attempt);
    const server = await recordedServer(parts.hetzner, agent);
    if (server === undefined) return { kind: 'unhealthy', error: 'The server is no longer at Hetzner' };
    const device = await lookUpDevice(parts, attempt);
    if ('missing' in device) return { kind: 'unhealthy', error: device.missing };
    const { tailnetIp, tailnetName, nodeId: tailnetNodeId } = device;
    attempt.step('verifying');
    const health = await healthOf(parts, attempt, { tailnetIp, serverStatus: server.status });
    const outputs = {
      serverId: server.id,
      serverName: server.name,
      ipv4: server.ipv4,
      ipv6: agent.ipv6,
      tailnetIp,
      tailnetName,
      tailnetNodeId,
    };
    if (unmended !== undefined) return { kind: 'unhealthy', error: unmended };
    return { kind: 'refreshed', outputs, health };
  },
});

/** A device that is gone, or no longer tagged as ours, is a finding, not a failure of the refresh. */
async function lookUpDevice(
  { tailscale }: RunbookParts,
  attempt: Attempt,
): Promise<PresentDevice | { missing: string }> {
  try {
    return await presentDevice(tailscale, attempt);
  } catch (error) {
    if (error instanceof DeviceMissingError) return { missing: error.message };
    throw error;
  }
}

/** Nobody expects an answer of an agent that is switched off. */
async function healthOf(
  { health }: RunbookParts,
  attempt: Attempt,
  { tailnetIp, serverStatus }: { tailnetIp: string; serverStatus: string },
): Promise<Health> {
  if (attempt.agent.status !== 'running') {
    attempt.log(`the agent is ${attempt.agent.status}, the server is ${serverStatus}`);
    return 'unknown';
  }
  const healthy = await health.isHealthy(tailnetIp, attempt.signal);
  attempt.log(
    healthy ? `healthy at ${tailnetIp}` : `no healthy answer at ${tailnetIp}; the server is ${serverStatus}`,
  );
  return healthy ? 'healthy' : 'unhealthy';
}
