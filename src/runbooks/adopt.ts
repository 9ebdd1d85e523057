import { z } from 'zod';
import { agentOutputsSchema } from '../agents/outputs.ts';
import { getAgent, recordAdopted } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import { repeatLater } from '../operations/consequences.ts';
import { defineOperation } from '../operations/registry.ts';
import { markAdopted } from '../slots/claimed.ts';
import { adoptSlot } from './steps/adoption.ts';

const effect = z.object({ kind: z.literal('adopted'), outputs: agentOutputsSchema });

/**
 * Makes everything of the slot that an agent runs on the agent's: stack, labels, names. The agent runs
 * already, and whatever else is done to it goes first. While it does not run its server cannot be configured:
 * the end of what makes it run again queues this again.
 */
export const adopt = defineOperation<z.infer<typeof effect>>({
  kind: 'adopt',
  rank: 5,
  priority: -1,
  adopts: true,
  limitSeconds: 20 * 60,
  effect,
  succeed: async (trx, agentId, { outputs }) => {
    await recordAdopted(trx, agentId, outputs);
    await markAdopted(trx, agentId);
  },
  reported: () => ({ kind: 'none' }),
  lastFailure: async (ending) => {
    if (await canBeAdopted(ending.trx, ending.agentId)) await repeatLater(ending, 'adopt');
  },
  cancel: async () => {},
  run: (parts) => async (attempt) => {
    if (attempt.agent.status !== 'running') return { kind: 'none' };
    const outputs = await adoptSlot(parts, attempt);
    return outputs === undefined ? { kind: 'none' } : { kind: 'adopted', outputs };
  },
});

const canBeAdopted = async (trx: Transaction, agentId: string) =>
  (await getAgent(trx, agentId)).status === 'running';
