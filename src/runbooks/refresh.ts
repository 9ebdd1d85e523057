import { z } from 'zod';
import { agentOutputsSchema } from '../agents/outputs.ts';
import { HEALTHS, type Health } from '../agents/states.ts';
import { recordRefresh, recordUnhealthy } from '../agents/store.ts';
import type { Attempt } from '../operations/attempt.ts';
import { errorText } from '../operations/effects.ts';
import { defineOperation } from '../operations/registry.ts';
import type { RunbookParts } from '../operations/runbook-parts.ts';
import { DeviceMissingError, type PresentDevice, presentDevice } from './steps/device.ts';
import { updateFoundation } from './steps/foundation.ts';
import { recordedServer } from './steps/own-server.ts';
import { bringUpToDate } from './steps/recovery.ts';
import { restoreAttributes } from './steps/server-attributes.ts';

const effect = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('refreshed'), outputs: agentOutputsSchema, health: z.enum(HEALTHS) }),
  z.object({ kind: z.literal('unhealthy'), error: errorText }),
]);

/** Updates the stack's state from the clouds and records the agent's addresses and health. */
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
  // A cancelled refresh has found nothing to record.
  cancel: async () => {},
  cli: 'check its resources and its health',
  isOnList: true,
  run: (parts) => async (attempt) => {
    const { agent } = attempt;
    attempt.step('refreshing');
    // Restore first, so that the refreshed state has the correct attributes.
    const found = await recordedServer(parts.hetzner, agent);
    const notRestored = found && (await restoreAttributes(parts, attempt, found));
    await bringUpToDate(parts.executor, attempt);
    const server = await recordedServer(parts.hetzner, agent);
    if (server === undefined) return { kind: 'unhealthy', error: 'The server is no longer at Hetzner' };
    const device = await lookUpDevice(parts, attempt);
    if ('missing' in device) return { kind: 'unhealthy', error: device.missing };
    const { tailnetIp, tailnetName, nodeId: tailnetNodeId } = device;
    attempt.step('verifying');
    const health = await checkHealth(parts, attempt, { tailnetIp, serverStatus: server.status });
    const outputs = {
      serverId: server.id,
      serverName: server.name,
      ipv4: server.ipv4,
      ipv6: agent.ipv6,
      tailnetIp,
      tailnetName,
      tailnetNodeId,
    };
    await updateFoundation(parts, attempt);
    if (notRestored !== undefined) return { kind: 'unhealthy', error: notRestored };
    return { kind: 'refreshed', outputs, health };
  },
});

/** A missing or untagged device is a result of the refresh, not a failure. */
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

/** Only a running agent is expected to answer. */
async function checkHealth(
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
