import type { Health } from '../agents/states.ts';
import type { Run, Runbook } from '../operations/attempt.ts';
import type { StackEngine } from '../pulumi/engine/stack-engine.ts';
import type { HealthCheck } from '../tailnet/agent-health.ts';
import { DeviceMissingError, type PresentDevice, presentDevice } from './steps/device.ts';
import { recordedServer } from './steps/own-server.ts';
import { bringUpToDate, type Clouds } from './steps/recovery.ts';
import { restoreAttributes } from './steps/server-attributes.ts';

export interface RefreshDeps extends Clouds {
  executor: StackEngine;
  health: HealthCheck;
}

/** Looks at what really is: the stack's state is brought up to date, the addresses and the health are recorded. */
export function createRefresh(deps: RefreshDeps): Runbook {
  return async (run) => {
    const { agent } = run;
    run.step('refreshing');
    // Before the state is brought up to date: it is to know the server as it should be.
    const found = await recordedServer(deps.hetzner, agent);
    const unmended = found && (await restoreAttributes(deps, run, found));
    await bringUpToDate(deps.executor, run);
    const server = await recordedServer(deps.hetzner, agent);
    if (server === undefined) return { kind: 'unhealthy', error: 'The server is no longer at Hetzner' };
    const device = await lookUpDevice(deps, run);
    if ('missing' in device) return { kind: 'unhealthy', error: device.missing };
    const { tailnetIp, tailnetName, nodeId: tailnetNodeId } = device;
    run.step('verifying');
    const health = await healthOf(deps, run, { tailnetIp, serverStatus: server.status });
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
  };
}

/** A device that is gone, or no longer tagged as ours, is a finding, not a failure of the refresh. */
async function lookUpDevice(
  { tailscale }: RefreshDeps,
  run: Run,
): Promise<PresentDevice | { missing: string }> {
  try {
    return await presentDevice(tailscale, run);
  } catch (error) {
    if (error instanceof DeviceMissingError) return { missing: error.message };
    throw error;
  }
}

/** Nobody expects an answer of an agent that is switched off. */
async function healthOf(
  { health }: RefreshDeps,
  run: Run,
  { tailnetIp, serverStatus }: { tailnetIp: string; serverStatus: string },
): Promise<Health> {
  if (run.agent.status !== 'running') {
    run.log(`the agent is ${run.agent.status}, the server is ${serverStatus}`);
    return 'unknown';
  }
  const healthy = await health.isHealthy(tailnetIp, run.signal);
  run.log(
    healthy ? `healthy at ${tailnetIp}` : `no healthy answer at ${tailnetIp}; the server is ${serverStatus}`,
  );
  return healthy ? 'healthy' : 'unhealthy';
}
