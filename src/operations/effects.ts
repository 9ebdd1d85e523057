import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { agentName } from '../../stacks/inputs.ts';
import { refuseForeignDevice } from '../agents/devices.ts';
import {
  markRebuilt,
  markReconfigured,
  markResized,
  markRestarted,
  markStarted,
  markStopped,
} from '../agents/lifecycle.ts';
import { planSchema } from '../agents/new-agent.ts';
import { type AgentOutputs, agentOutputsSchema } from '../agents/outputs.ts';
import { HEALTHS } from '../agents/states.ts';
import {
  markDestroyed,
  markRolledBack,
  markRunning,
  recordRefresh,
  recordUnhealthy,
} from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import { cutText } from '../database/storable.ts';
import { InvalidInputError } from '../errors.ts';
import { LONGEST_ERROR } from './lengths.ts';
import type { OperationKind } from './states.ts';

const outputs = agentOutputsSchema;
const text = z
  .string()
  .min(1)
  .transform((value) => cutText(value, LONGEST_ERROR));

/** What an operation's success means for its agent's row. It is data, since it may come from a runner on another machine. */
export const effectSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('running'), outputs }),
  z.object({ kind: z.literal('stopped') }),
  z.object({ kind: z.literal('started') }),
  z.object({ kind: z.literal('restarted') }),
  z.object({ kind: z.literal('reconfigured'), outputs }),
  z.object({ kind: z.literal('resized'), outputs, plan: planSchema }),
  z.object({ kind: z.literal('rebuilt'), outputs }),
  z.object({ kind: z.literal('refreshed'), outputs, health: z.enum(HEALTHS) }),
  z.object({ kind: z.literal('unhealthy'), error: text }),
  z.object({ kind: z.literal('rolled-back') }),
  z.object({ kind: z.literal('destroyed') }),
  /** There was nothing to do. */
  z.object({ kind: z.literal('none') }),
]);
export type AgentEffect = z.infer<typeof effectSchema>;

/** Writes the effect on the agent's row, in the transaction that settles the operation. @throws ConflictError */
export async function applyEffect(trx: Transaction, agentId: string, effect: AgentEffect): Promise<void> {
  if ('outputs' in effect) await refuseForeignDevice(trx, agentId, effect.outputs);
  switch (effect.kind) {
    case 'running':
      return markRunning(trx, agentId, effect.outputs);
    case 'stopped':
      return markStopped(trx, agentId);
    case 'started':
      return markStarted(trx, agentId);
    case 'restarted':
      return markRestarted(trx, agentId);
    case 'reconfigured':
      return markReconfigured(trx, agentId, effect.outputs);
    case 'resized':
      return markResized(trx, agentId, effect);
    case 'rebuilt':
      return markRebuilt(trx, agentId, effect.outputs);
    case 'refreshed':
      return recordRefresh(trx, agentId, effect);
    case 'unhealthy':
      return recordUnhealthy(trx, agentId, effect.error);
    case 'rolled-back':
      return markRolledBack(trx, agentId);
    case 'destroyed':
      return markDestroyed(trx, agentId);
    case 'none':
      return;
  }
}

/** What a runner that was written against the contract alone says of its success. */
export interface SuccessReport {
  serverId?: string | undefined;
  serverIp?: string | undefined;
  tailscaleIp?: string | undefined;
}

/** What such a report means, by the kind of the operation, where the runner has recorded no effect before. */
const REPORTED: Record<OperationKind, (agentId: string, report: SuccessReport) => AgentEffect> = {
  provision: (agentId, report) => ({ kind: 'running', outputs: outputsOf(agentId, report) }),
  start: () => ({ kind: 'started' }),
  stop: () => ({ kind: 'stopped' }),
  restart: () => ({ kind: 'restarted' }),
  refresh: () => ({ kind: 'none' }),
  // A runner reports success only after it has seen a healthy answer, and these change no address.
  reconfigure: () => ({ kind: 'restarted' }),
  resize: () => ({ kind: 'restarted' }),
  rebuild: (agentId, report) => ({ kind: 'rebuilt', outputs: outputsOf(agentId, report) }),
  rollback: () => ({ kind: 'rolled-back' }),
  destroy: () => ({ kind: 'destroyed' }),
};

/** @throws InvalidInputError where the report lacks what the agent's row needs. */
export function reportedEffect(kind: OperationKind, agentId: string, report: SuccessReport): AgentEffect {
  return REPORTED[kind](agentId, report);
}

function outputsOf(agentId: string, report: SuccessReport): AgentOutputs {
  const { serverId, serverIp, tailscaleIp } = report;
  if (serverId === undefined || serverIp === undefined || tailscaleIp === undefined) {
    throw new InvalidInputError('server_id, server_ip and tailscale_ip are needed with status running');
  }
  // The names are the same for every agent; one of the server's two addresses is in the report.
  const name = agentName(agentId);
  return {
    serverId,
    serverName: name,
    ...(isIPv6(serverIp) ? { ipv4: null, ipv6: serverIp } : { ipv4: serverIp, ipv6: null }),
    tailnetIp: tailscaleIp,
    tailnetName: name,
  };
}
