import { z } from 'zod';
import { serverIdSchema } from '../../stacks/outputs.ts';
import { beginSnapshot, completeSnapshot } from '../agents/snapshots.ts';
import type { Transaction } from '../database/connect.ts';
import { defineOperation } from '../operations/registry.ts';
import { takeAgentSnapshot } from './steps/agent-snapshots.ts';
import { presentServer } from './steps/own-server.ts';

const effect = z.object({
  kind: z.literal('kept'),
  hetznerId: serverIdSchema,
  sizeGb: z.number().positive(),
  serverId: serverIdSchema,
});

/**
 * Keeps a snapshot of the agent's disk beside its server. The agent goes on as it was: on a server that runs,
 * the disk is as after a power cut. Whatever happens to it changes nothing of the agent.
 */
export const snapshot = defineOperation<z.infer<typeof effect>>({
  kind: 'snapshot',
  rank: 62,
  from: ['running', 'stopped', 'suspended'],
  // Its row is collected once it has failed. Another request makes another one.
  retryFrom: [],
  priority: -2,
  runsBeside: true,
  // Hetzner bills it.
  changesPrice: true,
  limitSeconds: 90 * 60,
  needsRoute: false,
  begin: async (trx, _agentId, own) => beginSnapshot(trx, own, await readWhy(trx, own)),
  effect,
  succeed: (trx, _agentId, made, own) => completeSnapshot(trx, own, made),
  reported: () => ({ kind: 'none' }),
  lastFailure: async () => {},
  cancel: async () => {},
  cli: 'keep a snapshot of its disk beside its server',
  summary: 'Keep a snapshot of the disk beside the server, which goes on as it was',
  run: (parts) => async (attempt) => {
    attempt.step('preparing');
    const server = await presentServer(parts.hetzner, attempt.agent);
    attempt.step('creating_snapshot');
    const why = String(attempt.operation.parameters.why ?? 'by-hand');
    return {
      kind: 'kept',
      ...(await takeAgentSnapshot(parts, attempt, { server, why })),
      serverId: server.id,
    };
  },
});

/** The schedule says so in its operations. */
async function readWhy(trx: Transaction, operationId: string): Promise<'scheduled' | 'by-hand'> {
  const { parameters } = await trx
    .selectFrom('operations')
    .select('parameters')
    .where('operation_id', '=', operationId)
    .executeTakeFirstOrThrow();
  return parameters.why === 'scheduled' ? 'scheduled' : 'by-hand';
}
