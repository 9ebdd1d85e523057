import { isIPv6 } from 'node:net';
import { z } from 'zod';
import { agentName, toServerName } from '../../stacks/inputs.ts';
import { refuseForeignDevices } from '../agents/devices.ts';
import type { AgentOutputs } from '../agents/outputs.ts';
import type { Transaction } from '../database/connect.ts';
import { cutText } from '../database/storable.ts';
import { ConflictError, InvalidInputError } from '../errors.ts';
import type { AgentEffect } from './attempt.ts';
import type { SuccessReport } from './definition.ts';
import { LONGEST_ERROR } from './lengths.ts';
import { findOperation } from './registry.ts';
import type { OperationRow } from './rows.ts';

/** An error's text as part of an effect. */
export const errorText = z
  .string()
  .min(1)
  .transform((value) => cutText(value, LONGEST_ERROR));

/** The effect of an operation that had nothing to do. Any kind may have it; the agent's row is unchanged. */
export const noEffect = z.object({ kind: z.literal('none') });

/**
 * Writes the effect to the agent's row, in the transaction that settles the operation.
 * @throws ConflictError
 */
export async function applyEffect(
  trx: Transaction,
  { kind, agent_id: agentId, operation_id: own }: Pick<OperationRow, 'kind' | 'agent_id' | 'operation_id'>,
  effect: AgentEffect,
): Promise<void> {
  if (effect.kind === 'none') return;
  const operation = findOperation(kind);
  const { data } = operation?.effect.safeParse(effect) ?? {};
  if (operation === undefined || data === undefined)
    throw new ConflictError(`The ${kind} of agent ${agentId} cannot have the effect ${effect.kind}`);
  if (data.outputs !== undefined) await refuseForeignDevices(trx, [{ agentId, outputs: data.outputs }]);
  await operation.succeed(trx, agentId, data, own);
}

/** Derives the effect from a report of a runner that recorded none. @throws InvalidInputError */
export function reportedEffect(
  { kind, agent_id: agentId }: Pick<OperationRow, 'kind' | 'agent_id'>,
  report: SuccessReport,
): AgentEffect {
  return findOperation(kind)?.reported(agentId, report) ?? { kind: 'none' };
}

/** The outputs in a runner's report. @throws InvalidInputError if it is incomplete */
export function reportedOutputs(agentId: string, report: SuccessReport): AgentOutputs {
  const { serverId, serverIp, tailscaleIp, serverName } = report;
  if (serverId === undefined || serverIp === undefined || tailscaleIp === undefined) {
    throw new InvalidInputError('server_id, server_ip and tailscale_ip are required with status running');
  }
  // A runner reports no names and only one of the server's two addresses.
  return {
    serverId,
    serverName: toServerName({ agentId, serverName }),
    ...(isIPv6(serverIp) ? { ipv4: null, ipv6: serverIp } : { ipv4: serverIp, ipv6: null }),
    tailnetIp: tailscaleIp,
    tailnetName: agentName(agentId),
  };
}
